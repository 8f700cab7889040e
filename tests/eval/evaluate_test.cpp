#include "eval/evaluate.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>

#include "checkpoint/tokenizer/tokenizer.h"
#include "core/files.h"
#include "core/hash.h"
#include "tests/testing/cut_tiny.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr const char* kText = "The quick brown fox jumps over the lazy dog, twice: once for the eye, once for the ear.";

// Overwrites float32 weights of every shard: all of them, or the last one.
void FillWeights(const fs::path& directory, float value, bool all) {
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().extension() != ".safetensors") continue;
    std::string bytes = ReadFile(entry.path());
    uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof(header));
    for (size_t at = all ? 8 + header : bytes.size() - 4; at < bytes.size(); at += 4)
      std::memcpy(bytes.data() + at, &value, sizeof(value));
    WriteFileAtomically(entry.path(), bytes);
  }
}

class EvaluateTest : public testing::Test {
 protected:
  EvaluateTest() {
    WriteTinyCheckpoint(temp_ / "model");
    WriteTinyCheckpoint(temp_ / "other", {.seed = 2});
    WriteFileAtomically(temp_ / "text.txt", kText);
    options_.model = temp_ / "model";
    options_.text = temp_ / "text.txt";
    options_.windows = {.window = 32, .stride = 32};
    options_.threads = 2;
  }

  TempDir temp_;
  EvalOptions options_;
};

TEST_F(EvaluateTest, StatesItsConditions) {
  EvalResult result = Evaluate(options_);
  EXPECT_EQ(result.text_sha256, Sha256Hex(kText));
  EXPECT_EQ(result.text_B, std::string_view(kText).size());
  EXPECT_GT(result.text_tok, 40);
  EXPECT_EQ(result.windows, (result.text_tok + 31) / 32);
  EXPECT_EQ(result.scored_tok, result.text_tok - result.windows);
  EXPECT_EQ(result.model.format, "F32");
  EXPECT_EQ(result.threads, 2);
  EXPECT_FALSE(result.reference);
  EXPECT_FALSE(result.kl);
  EXPECT_TRUE(Near(std::array{result.perplexity.value}, std::array{std::exp(result.nll.value)}, Relative(1e-12)));
}

TEST_F(EvaluateTest, UniformLogitsHaveThePerplexityOfTheVocabulary) {
  FillWeights(options_.model, 0, true);
  EvalResult result = Evaluate(options_);
  EXPECT_TRUE(Near(std::array{result.perplexity.value}, std::array{300.0}, Relative(1e-12)));
  EXPECT_LT(*result.perplexity.standard_error, 1e-9);
}

TEST_F(EvaluateTest, AReferenceAddsTheDivergence) {
  options_.reference = temp_ / "other";
  EvalResult result = Evaluate(options_);
  EXPECT_GT(result.kl->value, 0);
  EXPECT_GT(*result.kl->standard_error, 0);

  EvalOptions alone = options_;
  alone.reference.clear();
  EXPECT_EQ(result.perplexity.value, Evaluate(alone).perplexity.value);
  alone.model = temp_ / "other";
  EXPECT_EQ(result.reference_perplexity->value, Evaluate(alone).perplexity.value);

  options_.reference = options_.model;
  result = Evaluate(options_);
  EXPECT_EQ(result.kl->value, 0);
  EXPECT_EQ(result.top1_agreement->value, 1);
}

// The reference has a float32 cache always, so that what a narrower one costs is its divergence from the model itself.
TEST_F(EvaluateTest, ScoresTheWidthOfTheCache) {
  options_.reference = options_.model;
  double before = 0;
  for (KvType kv : {KvType::kF32, KvType::kF16, KvType::kQ8, KvType::kQ4}) {
    options_.runtime.kv = kv;
    const EvalResult result = Evaluate(options_);
    EXPECT_EQ(ToJson(result)["runtime"]["kv"], Name(kv));
    if (kv == KvType::kF32)
      EXPECT_EQ(result.kl->value, 0);
    else
      EXPECT_GT(result.kl->value, 10 * before) << Name(kv);
    before = result.kl->value;
  }
}

TEST_F(EvaluateTest, BitsPerByteAreThoseOfTheTextThatIsScored) {
  const EvalResult result = Evaluate(options_);
  const auto tokenizer = Tokenizer::Open(options_.model);
  const std::vector<int32_t> ids = tokenizer->Encode(kText, true);
  size_t bytes = 0;
  for (size_t i = 0; i < ids.size(); ++i)
    if (i % 32 != 0) bytes += tokenizer->Bytes(ids[i], true).size();
  EXPECT_LT(bytes, std::string_view(kText).size());
  const double bits = result.nll.value * static_cast<double>(result.scored_tok) / std::log(2.0);
  EXPECT_TRUE(
      Near(std::array{result.bits_per_byte->value}, std::array{bits / static_cast<double>(bytes)}, Relative(1e-12)));
}

// What is cut changes no logit of what is left, so the reference without it is the model itself.
TEST_F(EvaluateTest, AReferenceWithMoreTokensIsReadByTheMapAndRenormalised) {
  CutTinyCheckpoint(temp_ / "model", temp_ / "cut", {260, 265, 277, 290});
  options_.model = temp_ / "cut";
  options_.reference = temp_ / "model";
  const EvalResult result = Evaluate(options_);
  EXPECT_EQ(result.kl->value, 0);
  EXPECT_EQ(result.top1_agreement->value, 1);
  EXPECT_EQ(result.perplexity.value, result.reference_perplexity->value);
  EXPECT_GT(result.reference_lost_mass->value, 0.001);
  EXPECT_LT(result.reference_lost_mass->value, 0.5);
  EXPECT_GT(result.text_tok, *result.reference_text_tok);
  EvalOptions alone = options_;
  alone.model = temp_ / "model";
  alone.reference.clear();
  const EvalResult whole = Evaluate(alone);
  EXPECT_EQ(result.reference_bits_per_byte->value, whole.bits_per_byte->value);
  EXPECT_EQ(*result.reference_text_tok, whole.text_tok);
  const Json json = ToJson(result);
  EXPECT_EQ(json["windows"]["reference_text_tok"], whole.text_tok);
  EXPECT_EQ(json["metrics"].size(), 8u);
  EXPECT_EQ(json["metrics"][6]["name"], "reference_lost_mass");
}

TEST_F(EvaluateTest, AReferenceWithoutTheModelsTokensIsRefused) {
  CutTinyCheckpoint(temp_ / "model", temp_ / "cut", {260});
  options_.reference = temp_ / "cut";
  EXPECT_ERROR(Evaluate(options_), "has no token for id 260");
}

TEST_F(EvaluateTest, WrittenFormHasUnitsErrorsAndNulls) {
  Json json = ToJson(Evaluate(options_));
  EXPECT_EQ(json["schema"], kEvalDocument.schema);
  EXPECT_EQ(json["reference"], nullptr);
  EXPECT_EQ(json["windows"]["window_tok"], 32);
  EXPECT_EQ(json["windows"]["stride_tok"], 32);
  ASSERT_EQ(json["metrics"].size(), 3u);
  for (const Json& metric : json["metrics"]) {
    EXPECT_EQ(metric["kind"], "measured");
    EXPECT_TRUE(metric["unit"].is_string());
    EXPECT_LE(metric["ci95"][0].get<double>(), metric["value"].get<double>());
    EXPECT_GE(metric["ci95"][1].get<double>(), metric["value"].get<double>());
  }
  options_.windows.max_windows = 1;
  EXPECT_EQ(ToJson(Evaluate(options_))["metrics"][0]["se"], nullptr) << "one window has no error";
  options_.reference = temp_ / "other";
  EXPECT_EQ(ToJson(Evaluate(options_))["metrics"].size(), 6u);
}

TEST_F(EvaluateTest, TextsThatCannotBeScoredAreErrors) {
  WriteFileAtomically(temp_ / "empty.txt", "");
  options_.text = temp_ / "empty.txt";
  EXPECT_ERROR(Evaluate(options_), "empty.txt: is empty; there is nothing to score");
  WriteFileAtomically(temp_ / "one.txt", "x");
  options_.text = temp_ / "one.txt";
  options_.add_special = false;
  EXPECT_ERROR(Evaluate(options_), "one.txt: has 1 tokens; at least 2 are needed to score one");
  options_.text = temp_ / "none.txt";
  EXPECT_ERROR(Evaluate(options_), "none.txt");
}

TEST_F(EvaluateTest, TheEncodingOfATextChangesNothingAndOtherFilesAreRefused) {
  const EvalResult plain = Evaluate(options_);
  std::string wide = "\xff\xfe";
  for (const char* c = kText; *c; ++c) wide += {*c, '\0'};
  WriteFileAtomically(temp_ / "wide.txt", wide);
  options_.text = temp_ / "wide.txt";
  const EvalResult same = Evaluate(options_);
  EXPECT_EQ(same.nll.value, plain.nll.value);
  EXPECT_EQ(same.text_sha256, Sha256Hex(wide)) << "of the file";
  WriteFileAtomically(temp_ / "wide.txt", wide.substr(2));
  EXPECT_ERROR(Evaluate(options_), "wide.txt: byte 1 is 0x00, which is no UTF-8 text; the file seems to be UTF-16");
  WriteFileAtomically(temp_ / "set.csv", "text\nx\n");
  options_.text = temp_ / "set.csv";
  EXPECT_ERROR(Evaluate(options_), "set.csv: is a table");
}

TEST_F(EvaluateTest, DocumentsOfJsonLinesAreScoredInARow) {
  WriteFileAtomically(temp_ / "set.jsonl", "{\"body\": \"one two three\"}\n{\"body\": \"four five six\"}\n");
  options_.text = temp_ / "set.jsonl";
  EXPECT_ERROR(Evaluate(options_), "set.jsonl:1: has none of text, messages, conversations; it has body");
  options_.text.field = "body";
  const EvalResult result = Evaluate(options_);
  const auto tokenizer = Tokenizer::Open(temp_ / "model");
  EXPECT_EQ(result.text_tok, std::ssize(tokenizer->Encode("one two three", true)) +
                                 std::ssize(tokenizer->Encode("four five six", true)) + 2);
  EXPECT_EQ(ToJson(result)["text"]["content"], "2 documents in field body");
  options_.reference = temp_ / "other";
  EXPECT_TRUE(Evaluate(options_).kl);
}

TEST_F(EvaluateTest, AWindowBeyondTheModelsPositionsIsAnError) {
  options_.windows = {.window = 513, .stride = 513};
  EXPECT_ERROR(Evaluate(options_), "window: found 513");
}

TEST_F(EvaluateTest, OnlyModelsOfOneVocabularyAreCompared) {
  WriteTinyCheckpoint(temp_ / "wide", {.vocab_size = 320});
  options_.reference = temp_ / "wide";
  EXPECT_ERROR(Evaluate(options_), "its vocabulary has 320 tokens, that of");

  // The same size, but another id for one of the letters of the text.
  Json tokenizer = ReadJsonFile(temp_ / "other" / "tokenizer.json");
  Json& vocab = tokenizer["model"]["vocab"];
  ASSERT_TRUE(vocab.contains("q") && vocab.contains("Q"));
  std::swap(vocab["q"], vocab["Q"]);
  WriteJsonFile(temp_ / "other" / "tokenizer.json", tokenizer);
  options_.reference = temp_ / "other";
  EXPECT_ERROR(Evaluate(options_), "its tokenizer differs from that of");
}

TEST_F(EvaluateTest, NotANumberIsNeverScored) {
  FillWeights(options_.model, std::nanf(""), false);
  EXPECT_ERROR(Evaluate(options_), "model");
}

TEST_F(EvaluateTest, BadCheckpointsAreErrors) {
  options_.model = temp_ / "nowhere";
  EXPECT_ERROR(Evaluate(options_), "nowhere: is not a checkpoint directory");
  options_.model = temp_ / "model";
  options_.reference = temp_ / "nowhere";
  EXPECT_ERROR(Evaluate(options_), "nowhere: is not a checkpoint directory");
}

}  // namespace
}  // namespace ecld
