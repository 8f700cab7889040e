#include "checkpoint/gguf/gguf_export_tokenizer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "checkpoint/gguf/gguf_config.h"
#include "checkpoint/gguf/gguf_tokenizer.h"
#include "core/files.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

// The vocabulary of a GGUF file that holds the tokenizer of this directory.
class Exported {
 public:
  Exported(const fs::path& directory, int64_t vocab_size, std::vector<int64_t> eos_ids = {}) {
    ModelConfig config;
    config.vocab_size = vocab_size;
    config.eos_ids = std::move(eos_ids);
    GgufWriter file;
    PutGgufTokenizer(directory, config, &file, &notes);
    bytes_ = file.Header();
    gguf = ParseGguf(std::as_bytes(std::span(bytes_)), "exported");
    vocabulary = ReadGgufVocabulary(gguf);
  }

  std::vector<std::string> notes;
  GgufContents gguf;
  GgufVocabulary vocabulary;

 private:
  std::string bytes_;
};

// Pieces as sentencepiece has them: special tokens, bytes, then words by falling score.
GgufWriter& PutPieces(GgufWriter& file, bool space_prefix) {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> kinds = {2, 3, 3};
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(fmt::format("<0x{:02X}>", byte));
    kinds.push_back(6);
  }
  std::vector<float> scores(tokens.size());
  for (const char* piece :
       {"\xe2\x96\x81t", "he", "\xe2\x96\x81the", "in", "ing", "\xe2\x96\x81", "t", "h", "e", "i", "n", "g"}) {
    scores.push_back(-static_cast<float>(tokens.size()));
    tokens.push_back(piece);
    kinds.push_back(1);
  }
  file.Key("tokenizer.ggml.model", std::string("llama"));
  file.Key("tokenizer.ggml.tokens", tokens);
  file.Key("tokenizer.ggml.scores", scores);
  file.Key("tokenizer.ggml.token_type", kinds);
  file.Key("tokenizer.ggml.bos_token_id", uint32_t{1});
  file.Key("tokenizer.ggml.eos_token_id", uint32_t{2});
  file.Key("tokenizer.ggml.unknown_token_id", uint32_t{0});
  file.Key("tokenizer.ggml.add_space_prefix", space_prefix);
  return file;
}

TEST(GgufExportTokenizer, SentencePieceComesBack) {
  for (bool prefix : {true, false}) {
    TempDir dir;
    GgufWriter source;
    const std::string header = PutPieces(source, prefix).Header();
    const GgufContents gguf = ParseGguf(std::as_bytes(std::span(header)), "source");
    const Json tokenizer = TokenizerJson(ReadGgufVocabulary(gguf), "source");
    WriteJsonFile(dir / "tokenizer.json", tokenizer);
    const Exported exported(dir.path(), 300, {2});
    const GgufVocabulary& vocabulary = exported.vocabulary;
    EXPECT_EQ(vocabulary.model, GgufVocabulary::Model::kSentencePiece);
    EXPECT_EQ(vocabulary.add_space_prefix, prefix);
    EXPECT_TRUE(vocabulary.add_bos);
    EXPECT_EQ(vocabulary.bos, 1);
    EXPECT_EQ(vocabulary.eos, 2);
    EXPECT_EQ(vocabulary.unknown, 0);
    ASSERT_EQ(vocabulary.tokens.size(), 300u);
    EXPECT_EQ(vocabulary.tokens[0x41 + 3].kind, GgufVocabulary::Kind::kByte);
    EXPECT_EQ(vocabulary.tokens[299].kind, GgufVocabulary::Kind::kUnused);
    EXPECT_EQ(TokenizerJson(vocabulary, "exported"), tokenizer);
  }
}

// Where a text ends may stand in three files; llama.cpp reads three keys.
TEST(GgufExportTokenizer, AllEndIdsOfTheCheckpoint) {
  TempDir dir;
  WriteTinyTokenizer(dir.path());  // names <|im_end|>, 2
  const auto ends = [&](const char* generation, std::vector<int64_t> config) {
    WriteJsonFile(dir / "generation_config.json", ParseJson(generation, "test"));
    const Exported exported(dir.path(), 300, std::move(config));
    return std::pair(GgufStopIds(exported.gguf), exported.notes);
  };
  using Ids = std::vector<int64_t>;
  EXPECT_EQ(ends(R"({"eos_token_id": [0, 2]})", {}).first, (Ids{2, 0}));
  EXPECT_EQ(ends(R"({"eos_token_id": 1})", {0, 2}).first, (Ids{2, 0, 1}));
  EXPECT_EQ(ends("{}", {}).first, Ids{2});
  const auto [four, notes] = ends(R"({"eos_token_id": [1, 40]})", {0});
  EXPECT_EQ(four, (Ids{2, 0, 1}));
  EXPECT_EQ(notes, std::vector<std::string>{"generation also stops at token 40, for which GGUF has no key"});
}

// Published tokenizers: their ids are compared token by token while exporting.
void ExpectPreTokenizer(const char* file, const char* name, int64_t vocab_size) {
  const char* data = std::getenv("ECLD_TEST_DATA");
  if (!data) GTEST_SKIP() << "ECLD_TEST_DATA is not set";
  TempDir dir;
  fs::copy_file(fs::path(data) / "models" / file, dir / "tokenizer.json");
  const Exported exported(dir.path(), vocab_size);
  EXPECT_EQ(exported.vocabulary.pre_tokenizer, name);
  EXPECT_EQ(std::ssize(exported.vocabulary.tokens), vocab_size);
}

TEST(GgufExportTokenizer, Llama3) { ExpectPreTokenizer("tok-llama3/tokenizer.json", "llama-bpe", 128256); }
TEST(GgufExportTokenizer, Qwen3) { ExpectPreTokenizer("tok-qwen2/qwen3.tokenizer.json", "qwen2", 151936); }
TEST(GgufExportTokenizer, MistralNemo) {
  ExpectPreTokenizer("tok-mistral-nemo-derived/tokenizer.json", "tekken", 131072);
}

}  // namespace
}  // namespace ecld
