#include "checkpoint/generation_config.h"

#include <gtest/gtest.h>

#include "core/files.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

using Ids = std::vector<int64_t>;

class GenerationConfigFile : public testing::Test {
 protected:
  void Write(const char* text) { WriteFileAtomically(dir_ / "generation_config.json", text); }
  Ids Ends(const char* text, Ids config_ids, std::optional<int64_t> tokenizer) {
    Write(text);
    ModelConfig config;
    config.vocab_size = 100;
    config.eos_ids = std::move(config_ids);
    testing::internal::CaptureStderr();
    Ids ids;
    std::exception_ptr error;
    try {
      ids = EndIds(dir_.path(), config, tokenizer);
    } catch (...) {
      error = std::current_exception();
    }
    log_ = testing::internal::GetCapturedStderr();
    if (error) std::rethrow_exception(error);
    return ids;
  }
  SamplingValues Sampling(const char* text) {
    Write(text);
    return ReadSamplingDefaults(dir_.path());
  }

  TempDir dir_;
  std::string log_;
};

TEST_F(GenerationConfigFile, EndIdsAreThoseOfAllFiles) {
  EXPECT_EQ(Ends(R"({"eos_token_id": [0, 2]})", {0}, 0), (Ids{0, 2}));
  EXPECT_NE(
      log_.find("the end of a text is [0] in config.json, 0 in the tokenizer and [0,2] in generation_config.json"),
      std::string::npos)
      << log_;
  EXPECT_EQ(Ends(R"({"eos_token_id": 5})", {}, std::nullopt), Ids{5});
  EXPECT_EQ(Ends(R"({"eos_token_id": [4, 3]})", {3, 4}, 4), (Ids{3, 4}));
  EXPECT_EQ(log_, "") << "all agree";
  EXPECT_EQ(Ends(R"({"bos_token_id": 1})", {3}, 3), Ids{3});
  EXPECT_EQ(log_, "") << "one that is silent does not disagree";
  EXPECT_EQ(Ends(R"({"eos_token_id": null})", {3}, 7), (Ids{3, 7}));
  EXPECT_NE(log_.find("[3] in config.json, 7 in the tokenizer"), std::string::npos) << log_;
  EXPECT_EQ(Ends(R"({"eos_token_id": [-1, 100, 8]})", {}, std::nullopt), Ids{8}) << "no such tokens";
}

TEST_F(GenerationConfigFile, WithoutTheFileTheOthersSayIt) {
  ModelConfig config;
  config.vocab_size = 100;
  config.eos_ids = {9};
  EXPECT_EQ(EndIds(dir_.path(), config, 9), Ids{9});
  EXPECT_EQ(ReadSamplingDefaults(dir_.path()).Text(), "");
}

TEST_F(GenerationConfigFile, WithoutTheFileConfigJsonSaysHowToSample) {
  WriteFileAtomically(dir_ / "config.json", R"({"model_type": "llama", "repetition_penalty": 3.0})");
  EXPECT_EQ(ReadSamplingDefaults(dir_.path()).Text(), "repetition_penalty 3");
  EXPECT_EQ(Sampling(R"({"top_k": 4})").Text(), "top_k 4") << "the file alone counts where it is";
}

TEST_F(GenerationConfigFile, SamplingAsItsAuthorWantsIt) {
  EXPECT_EQ(Sampling(R"({"do_sample": true, "temperature": 0.5, "top_k": 20, "top_p": 0.25, "min_p": 0.125,
                         "repetition_penalty": 1.5})")
                .Text(),
            "temperature 0.5, top_k 20, top_p 0.25, min_p 0.125, repetition_penalty 1.5");
  EXPECT_EQ(Sampling(R"({"do_sample": false, "temperature": 0.5})").temperature, 0) << "always the most likely token";
  EXPECT_EQ(Sampling(R"({"do_sample": true})").temperature, 1);
  EXPECT_EQ(Sampling(R"({"top_p": 0.5})").temperature, std::nullopt);
  EXPECT_EQ(Sampling(R"({"top_k": -1})").top_k, 0);
  EXPECT_EQ(Sampling(R"({"temperature": null, "max_length": 20, "_from_model_config": true})").Text(), "");
}

TEST_F(GenerationConfigFile, WhatIsNotDoneIsRefusedUnlessItAsksForNothing) {
  EXPECT_EQ(
      Sampling(R"({"num_beams": 1, "typical_p": 1.0, "suppress_tokens": [], "min_length": 0, "top_h": null})").Text(),
      "");
  EXPECT_ERROR(Sampling(R"({"num_beams": 4})"), "num_beams: is 4, which this program does not do; --generation-config");
  EXPECT_ERROR(Sampling(R"({"typical_p": 0.9})"), "typical_p: is 0.9");
  EXPECT_ERROR(Sampling(R"({"suppress_tokens": [3]})"), "suppress_tokens: is [3]");
}

TEST_F(GenerationConfigFile, ValuesOutOfRangeAreErrors) {
  EXPECT_ERROR(Sampling(R"({"temperature": -1})"), "temperature: is -1, expected 0 (always the most likely token)");
  EXPECT_ERROR(Sampling(R"({"top_k": -2})"), "top_k: is -2, expected 0 (all) or a positive number");
  EXPECT_ERROR(Sampling(R"({"top_p": 0})"), "top_p: is 0, expected a number above 0 and at most 1");
  EXPECT_ERROR(Sampling(R"({"min_p": 1.5})"), "min_p: is 1.5, expected a number from 0 to 1");
  EXPECT_ERROR(Sampling(R"({"repetition_penalty": 0})"),
               "repetition_penalty: is 0, expected a number from 0.01 to 100");
  EXPECT_ERROR(Sampling(R"({"do_sample": "yes"})"), "do_sample");
  EXPECT_ERROR(Sampling("[]"), "generation_config.json: is no JSON object");
  EXPECT_ERROR(Ends(R"({"eos_token_id": "</s>"})", {}, 1), "eos_token_id");
}

TEST(SamplingValues, WhatIsAbsentIsAskedOfOthers) {
  const SamplingValues request{.temperature = 0, .top_p = 0.5}, file{.temperature = 0.7, .top_k = 4};
  EXPECT_EQ(request.Or(file).Text(), "temperature 0, top_k 4, top_p 0.5");
}

}  // namespace
}  // namespace ecld
