// Real tokenizers against recorded cases: those of llama.cpp (Llama 3, Qwen2, Llama 2) and of Mistral's own tokenizers.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "checkpoint/tokenizer/tokenizer.h"
#include "core/files.h"
#include "core/json.h"
#include "core/random.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

using Ids = std::vector<int32_t>;

class RealTokenizers : public testing::Test {
 protected:
  void SetUp() override {
    const char* data = std::getenv("ECLD_TEST_DATA");
    if (!data) GTEST_SKIP() << "ECLD_TEST_DATA is not set";
    models_ = std::filesystem::path(data) / "models";
  }

  // The tokenizer in one file, whatever the file is called.
  std::unique_ptr<Tokenizer> OpenFile(const std::string& file) const {
    TempDir directory;
    bool is_json = file.ends_with(".json");
    std::filesystem::create_symlink(models_ / file, directory / (is_json ? "tokenizer.json" : "tokenizer.model"));
    return Tokenizer::Open(directory.path());
  }

  void ExpectLlamaCppCases(const Tokenizer& tokenizer, const std::string& name) const {
    std::string base = (models_ / "tok-oracle-llamacpp" / ("ggml-vocab-" + name + ".gguf")).string();
    std::string inputs = ReadFile(base + ".inp");
    std::istringstream outputs(ReadFile(base + ".out"));
    const std::string separator = "\n__ggml_vocab_test__\n";
    int cases = 0;
    for (std::string line; std::getline(outputs, line); ++cases) {
      size_t end = std::min(inputs.find(separator), inputs.size());
      std::string text = inputs.substr(0, end);
      inputs.erase(0, end + separator.size());
      std::istringstream numbers(line);
      Ids expected{std::istream_iterator<int32_t>(numbers), {}};
      EXPECT_EQ(tokenizer.Encode(text, false), expected) << "\"" << text << "\"";
      EXPECT_EQ(tokenizer.Decode(expected, false), text);
    }
    EXPECT_EQ(cases, 46);
    EXPECT_EQ(inputs, "");  // the 47th case is no text: no ids
    EXPECT_EQ(tokenizer.Encode("", false), Ids{});
  }

  void ExpectMistralCases(const Tokenizer& tokenizer, const std::string& list, const std::string& version) const {
    Json file = ReadJsonFile(models_ / "tok-mistral" / "cases.json");
    ASSERT_FALSE(file.at(list).empty());
    for (const Json& entry : file.at(list)) {
      std::string text = entry.at("text");
      Ids expected = entry.at("ids").at(version).get<Ids>();
      EXPECT_EQ(tokenizer.Encode(text, true), expected) << "\"" << text << "\"";
      EXPECT_EQ(tokenizer.Decode(expected, true), text);
    }
  }

  void ExpectBytesSurvive(const Tokenizer& tokenizer, uint64_t seed) const {
    Random random(seed);
    for (int i = 0; i < 200; ++i) {
      std::string bytes;
      for (uint64_t n = random.Below(64); n > 0; --n)
        bytes += static_cast<char>(random.Below(4) == 0 ? random.Below(256) : 32 + random.Below(95));
      EXPECT_EQ(tokenizer.Decode(tokenizer.Encode(bytes, false), false), bytes);
    }
  }

  std::filesystem::path models_;
};

TEST_F(RealTokenizers, Llama3) {
  auto tokenizer = OpenFile("tok-llama3/tokenizer.json");
  ExpectLlamaCppCases(*tokenizer, "llama-bpe");
  ExpectBytesSurvive(*tokenizer, 1);
  EXPECT_EQ(tokenizer->Encode("a<|eot_id|>", true), (Ids{128000, 64, 128009}));
  EXPECT_EQ(tokenizer->bos(), 128000);
  EXPECT_EQ(tokenizer->vocab_size(), 128256);
}

TEST_F(RealTokenizers, Qwen2) {
  auto tokenizer = OpenFile("tok-qwen2/qwen2.tokenizer.json");
  ExpectLlamaCppCases(*tokenizer, "qwen2");
  EXPECT_EQ(tokenizer->IdOf("<|im_end|>"), 151645);
  EXPECT_EQ(tokenizer->Encode("", true), Ids{});
}

TEST_F(RealTokenizers, Qwen3KeepsTokensThatAreAddedButNotSpecial) {
  auto tokenizer = OpenFile("tok-qwen2/qwen3.tokenizer.json");
  Ids ids = tokenizer->Encode("<|im_start|><think>", true);
  EXPECT_EQ(ids, (Ids{151644, 151667}));
  EXPECT_EQ(tokenizer->Decode(ids, true), "<think>");
  EXPECT_EQ(tokenizer->Decode(ids, false), "<|im_start|><think>");
}

TEST_F(RealTokenizers, Llama2) { ExpectLlamaCppCases(*OpenFile("tok-llama2/tokenizer.model"), "llama-spm"); }

TEST_F(RealTokenizers, MistralV1) {
  auto tokenizer = OpenFile("tok-mistral/tokenizer.model.v1");
  ExpectMistralCases(*tokenizer, "sentencepiece", "v1");
}

TEST_F(RealTokenizers, MistralV2) {
  ExpectMistralCases(*OpenFile("tok-mistral/mistral_instruct_tokenizer_240216.model.v2"), "sentencepiece", "v2");
}

TEST_F(RealTokenizers, MistralV3) {
  ExpectMistralCases(*OpenFile("tok-mistral/mistral_instruct_tokenizer_240323.model.v3"), "sentencepiece", "v3");
}

TEST_F(RealTokenizers, Tekken) {
  auto tokenizer = OpenFile("tok-mistral-nemo-derived/tokenizer.json");
  ExpectMistralCases(*tokenizer, "tekken_240718", "v3");
  ExpectBytesSurvive(*tokenizer, 2);
}

// Whole conversations as Mistral's own library writes them: control tokens in the text, text between them.
TEST_F(RealTokenizers, MistralConversations) {
  const std::vector<std::pair<std::string, std::string>> versions = {
      {"v2", "mistral_instruct_tokenizer_240216.model.v2"}, {"v3", "mistral_instruct_tokenizer_240323.model.v3"}};
  for (const auto& [version, file] : versions) {
    auto tokenizer = OpenFile("tok-mistral/" + file);
    for (const auto& sample : std::filesystem::directory_iterator(models_ / "tok-mistral" / "samples")) {
      Ids expected = ReadJsonFile(sample.path() / ("tokens_" + version + ".json")).at("tokens").get<Ids>();
      std::string text = tokenizer->Decode(expected, false);
      EXPECT_TRUE(text.starts_with("<s>")) << text;
      EXPECT_EQ(tokenizer->Encode(text, false), expected) << sample.path() << ": " << text;
    }
  }
}

TEST_F(RealTokenizers, ByteFallback) {
  auto tokenizer = OpenFile("stories260K-hf/tokenizer.json");
  ExpectBytesSurvive(*tokenizer, 3);
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_EQ(tokenizer->eos(), std::nullopt);
}

TEST_F(RealTokenizers, NamesInTheConfigBesideTheTokenizer) {
  auto tokenizer = Tokenizer::Open(models_ / "tinystories-656k-hf");
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_EQ(tokenizer->eos(), 2);
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("Once upon a time", true), true), "Once upon a time");
}

}  // namespace
}  // namespace ecld
