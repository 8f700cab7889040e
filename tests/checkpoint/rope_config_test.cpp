// Rope parameters as configs spell them. Which of two holds, and the numbers, are those of transformers 5.23.
#include <gtest/gtest.h>

#include <cmath>

#include "checkpoint/checkpoint.h"
#include "checkpoint/config.h"
#include "core/files.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

using enum RopeScaling::Kind;

// A config of 512 positions and heads of 16 with these rope keys, in JSON.
ModelConfig Parse(const std::string& rope) {
  Json json = TinyConfigJson({});
  json.erase("rope_theta");
  json.erase("rope_scaling");
  const Json keys = ParseJson(rope, "rope");
  for (const auto& [key, value] : keys.items()) json[key] = value;
  return ParseConfig(json, "config.json");
}
RopeScaling Scaling(const std::string& object) { return Parse("{\"rope_scaling\": " + object + "}").rope_scaling; }

const std::string kYarnKeys = R"("rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 64)";
const std::string kLongRopeKeys = R"("rope_type": "longrope", "short_factor": [1, 1, 1, 1, 1, 1, 1, 1.5],
    "long_factor": [1, 2, 3, 4, 5, 6, 7, 8])";

TEST(RopeConfig, WhichOfTwoHolds) {
  struct Row {
    std::string rope;
    RopeScaling::Kind kind;
    double theta;
    std::string note;  // a part of the only one; "": none
  };
  const std::string plain = R"("rope_parameters": {"rope_type": "default", "rope_theta": 5e5})";
  const std::string yarn = "\"rope_scaling\": {" + kYarnKeys + "}";
  const Row rows[] = {
      {"{}", kNone, 10000, ""},
      {R"({"rope_theta": 5e5})", kNone, 5e5, ""},
      {R"({"rope_scaling": null, "rope_parameters": null})", kNone, 10000, ""},
      {R"({"rope_theta": null, "rope_parameters": {"rope_theta": 5e5}})", kNone, 5e5, ""},
      {R"({"rope_theta": 5e5, "rope_scaling": {}, "rope_parameters": {}})", kNone, 5e5, ""},
      {"{" + plain + "}", kNone, 5e5, ""},
      {"{" + plain + R"(, "rope_scaling": null})", kNone, 5e5, ""},
      {"{" + plain + R"(, "rope_scaling": {}})", kNone, 5e5, ""},
      {"{" + plain + R"(, "rope_theta": 10000})", kNone, 5e5,
       "rope_theta is 500000 inside the rope's object and 10000"},
      {"{" + yarn + R"(, "rope_theta": 5e5})", kYarn, 5e5, ""},
      {R"({"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 2, "rope_theta": 25e4}})", kLinear, 25e4,
       "rope_theta is 250000 inside"},
      // As transformers 5 writes it, with what a model card says to add: theta is not looked at either.
      {"{" + plain + ", " + yarn + "}", kYarn, 10000,
       "rope_scaling (yarn) and rope_parameters (default) differ: rope_scaling holds, rope_parameters is not looked "
       "at, "
       "and rope_theta is 10000, not 500000, as in transformers"},
      {"{" + plain + ", " + yarn + R"(, "rope_theta": 5e5})", kYarn, 5e5, "rope_parameters is not looked at, as in"},
      {R"({"rope_theta": 5e5, "rope_parameters": {"factor": 4, "original_max_position_embeddings": 64, "type": "yarn",
         "rope_theta": 5e5}, )" +
           yarn + "}",
       kYarn, 5e5, ""},
      {"{\"rope_parameters\": {" + kYarnKeys + "}}", kYarn, 10000, ""},
      {R"({"rope_scaling": {"rope_type": "linear", "type": "dynamic", "factor": 2}})", kLinear, 10000,
       "rope_type is \"linear\" and type \"dynamic\": rope_type holds"},
      {R"({"rope_scaling": {"rope_type": "dynamic", "type": null, "factor": 2}})", kDynamic, 10000, ""},
  };
  for (const Row& row : rows) {
    const ModelConfig config = Parse(row.rope);
    EXPECT_EQ(config.rope_scaling.kind, row.kind) << row.rope;
    EXPECT_EQ(config.rope_theta, row.theta) << row.rope;
    ASSERT_EQ(config.notes.size(), row.note.empty() ? 0u : 1u) << row.rope;
    for (const std::string& note : config.notes) EXPECT_NE(note.find(row.note), std::string::npos) << note;
    const Json written = ToJson(config);
    EXPECT_EQ(ToJson(ParseConfig(written, "written")), written) << row.rope;
  }
}

// transformers 5 does not take null for "not given", and fails.
TEST(RopeConfig, NullIsNoValue) {
  EXPECT_ERROR(Scaling(R"({"rope_type": null})"), "rope_scaling.rope_type: expected a string, found null");
  EXPECT_ERROR(Scaling(R"({"rope_type": null, "type": "linear", "factor": 2})"), "rope_type: expected a string");
  EXPECT_ERROR(Scaling(R"({"type": null})"), "rope_scaling.type: expected a string, found null");
  EXPECT_ERROR(Parse(R"({"rope_parameters": {"rope_type": null}})"), "rope_parameters.rope_type: expected a string");
  EXPECT_ERROR(Parse(R"({"rope_theta": null})"), "rope_theta: expected a number, found null");
  EXPECT_ERROR(Scaling(R"({"rope_theta": null})"), "rope_scaling.rope_theta: expected a number, found null");
  EXPECT_ERROR(Scaling(R"({"partial_rotary_factor": null})"), "partial_rotary_factor: expected a number, found null");
  const std::string length = R"("original_max_position_embeddings": null)";
  EXPECT_ERROR(Scaling(R"({"rope_type": "yarn", "factor": 4, )" + length + "}"), "expected an integer, found null");
  EXPECT_ERROR(Parse("{\"rope_scaling\": {" + kYarnKeys + "}, " + length + "}"), "expected an integer, found null");
  EXPECT_NO_THROW(Parse(R"({"rope_scaling": {"rope_type": "linear", "factor": 4}, )" + length + "}"));
}

TEST(RopeConfig, TheUserIsToldOnceWhichHolds) {
  TempDir dir;
  WriteTinyCheckpoint(dir.path(), {.rope_scaling = kLinear});
  Json json = ReadJsonFile(dir / "config.json");
  json["rope_scaling"]["rope_theta"] = 77777;
  WriteJsonFile(dir / "config.json", json);
  testing::internal::CaptureStderr();
  Checkpoint::Open(dir.path());
  Checkpoint::Open(dir.path());
  const std::string said = testing::internal::GetCapturedStderr();
  const size_t first = said.find("config.json: rope_theta is 77777");
  EXPECT_NE(first, std::string::npos) << said;
  EXPECT_EQ(said.find("77777", first + 60), std::string::npos) << said;
}

TEST(RopeConfig, OriginalLengthBesideTheObjectHolds) {
  const auto original = [](const std::string& rope) { return Parse(rope).rope_scaling.original_max_position; };
  const std::string inside = "\"rope_scaling\": {" + kYarnKeys + "}";
  EXPECT_EQ(original("{" + inside + "}"), 64);
  EXPECT_EQ(original("{" + inside + R"(, "original_max_position_embeddings": 128})"), 128);
  EXPECT_NE(Parse("{" + inside + R"(, "original_max_position_embeddings": 128})")
                .notes.at(0)
                .find("original_max_position_embeddings is 64 inside the rope's object and 128 beside it"),
            std::string::npos);
  EXPECT_EQ(original(R"({"rope_scaling": {"rope_type": "yarn", "factor": 4}})"), 512) << "max_position_embeddings";
  EXPECT_EQ(original(R"({"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1,
                         "high_freq_factor": 4}})"),
            512);
}

TEST(RopeConfig, YarnsAttentionFactor) {
  const auto attention = [](const std::string& more) { return Scaling("{" + kYarnKeys + more + "}").attention_factor; };
  EXPECT_DOUBLE_EQ(attention(""), 0.1 * std::log(4) + 1);
  EXPECT_DOUBLE_EQ(attention(R"(, "attention_factor": 2)"), 2);
  EXPECT_DOUBLE_EQ(attention(R"(, "mscale": 1, "mscale_all_dim": 2)"),
                   (0.1 * std::log(4) + 1) / (0.2 * std::log(4) + 1));
  EXPECT_DOUBLE_EQ(attention(R"(, "mscale": 0.7)"), 0.1 * std::log(4) + 1) << "both or none";
  EXPECT_DOUBLE_EQ(attention(R"(, "mscale": 0, "mscale_all_dim": 2)"), 0.1 * std::log(4) + 1);
  EXPECT_DOUBLE_EQ(attention(R"(, "mscale": 1, "mscale_all_dim": 2, "attention_factor": 1.5)"), 1.5);
  const RopeScaling reached = Scaling(R"({"rope_type": "yarn", "factor": null,
                                          "original_max_position_embeddings": 64})");
  EXPECT_EQ(reached.factor, 8) << "max_position_embeddings / the original length";
  EXPECT_DOUBLE_EQ(reached.attention_factor, 0.1 * std::log(8) + 1);
  EXPECT_DOUBLE_EQ(Scaling(R"({"rope_type": "yarn", "factor": 0.5})").attention_factor, 1);
}

TEST(RopeConfig, YarnsBoundsMayBeLeftOut) {
  const RopeScaling plain = Scaling("{" + kYarnKeys + R"(, "beta_fast": 0, "beta_slow": null})");
  EXPECT_EQ(plain.beta_fast, 32);
  EXPECT_EQ(plain.beta_slow, 1);
  EXPECT_TRUE(plain.truncate);
  const RopeScaling given = Scaling("{" + kYarnKeys + R"(, "beta_fast": 16, "beta_slow": 2, "truncate": false})");
  EXPECT_EQ(given.beta_fast, 16);
  EXPECT_EQ(given.beta_slow, 2);
  EXPECT_FALSE(given.truncate);
  EXPECT_FALSE(Scaling("{" + kYarnKeys + R"(, "truncate": null})").truncate);
}

TEST(RopeConfig, LongRopesAttentionFactor) {
  const RopeScaling reached = Scaling("{" + kLongRopeKeys + R"(, "original_max_position_embeddings": 64})");
  EXPECT_EQ(reached.short_factor.back(), 1.5);
  EXPECT_EQ(reached.long_factor.back(), 8);
  EXPECT_DOUBLE_EQ(reached.attention_factor, std::sqrt(1 + std::log(8) / std::log(64)));
  EXPECT_DOUBLE_EQ(
      Scaling("{" + kLongRopeKeys + R"(, "original_max_position_embeddings": 64, "factor": 4})").attention_factor,
      std::sqrt(1 + std::log(4) / std::log(64)));
  EXPECT_DOUBLE_EQ(Scaling("{" + kLongRopeKeys + "}").attention_factor, 1) << "the original length is all there is";
  EXPECT_DOUBLE_EQ(Scaling("{" + kLongRopeKeys + R"(, "attention_factor": 1.25})").attention_factor, 1.25);
}

TEST(RopeConfig, FieldsOfAnotherTypeAreNamed) {
  const auto notes = [](const std::string& object) { return Parse("{\"rope_scaling\": " + object + "}").notes; };
  EXPECT_EQ(notes(R"({"rope_type": "dynamic", "factor": 2, "original_max_position_embeddings": 64, "beta_fast": 3})"),
            std::vector<std::string>{"original_max_position_embeddings, beta_fast are without effect with rope type "
                                     "\"dynamic\", as in transformers"});
  EXPECT_EQ(notes(R"({"factor": 2})"),
            std::vector<std::string>{"factor is without effect with rope type \"default\", as in transformers"});
  EXPECT_EQ(notes("{" + kYarnKeys + R"(, "finetuned": true})"),
            std::vector<std::string>{"finetuned is without effect with rope type \"yarn\", as in transformers"});
  EXPECT_TRUE(notes("{" + kYarnKeys + R"(, "short_factor": null})").empty());
}

TEST(RopeConfig, MistakesAreNamed) {
  EXPECT_ERROR(Scaling("{" + kYarnKeys + R"(, "beta_fest": 32})"),
               "config.json: rope_scaling.beta_fest: is not a known field (did you mean beta_fast");
  EXPECT_ERROR(Scaling("{" + kYarnKeys + R"(, "attn_factor": 1})"), "attn_factor: is not a known field");
  EXPECT_ERROR(Scaling(R"({"rope_type": "yarm", "factor": 4})"),
               "rope_scaling: rope type \"yarm\" is not supported (did you mean yarn?)");
  EXPECT_ERROR(Scaling(R"({"type": "mrope", "mrope_section": [4, 2, 2]})"), "rope type \"mrope\" is not supported");
  EXPECT_ERROR(Scaling(R"({"type": "default", "mrope_section": [4, 2, 2]})"),
               "rope_scaling.mrope_section: rotation by positions in an image is not supported");
  EXPECT_ERROR(Parse(R"({"rope_parameters": {"full_attention": {"rope_type": "default"}}})"),
               "rope_parameters.full_attention: rope parameters for each kind of layer are not supported");
  EXPECT_ERROR(Scaling("\"yarn\""), "rope_scaling: expected an object");
  for (const char* type : {"linear", "dynamic", "yarn"})
    EXPECT_ERROR(Scaling(std::string(R"({"rope_type": ")") + type + "\"}"), "rope_scaling: key \"factor\" is missing");
  EXPECT_ERROR(Scaling(R"({"rope_type": "linear", "factor": null})"), "factor: expected a number, found null");
  EXPECT_ERROR(Scaling(R"({"rope_type": "linear", "factor": -2})"), "factor: expected a positive number, found -2");
  EXPECT_ERROR(Scaling(R"({"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 0})"),
               "original_max_position_embeddings: expected 1 to 2^31 - 1, found 0");
  EXPECT_ERROR(Scaling("{" + kYarnKeys + R"(, "rope_theta": 1})"), "needs a rope_theta above 1, found 1");
  EXPECT_ERROR(Scaling("{" + kYarnKeys + R"(, "beta_fast": -1})"), "beta_fast: expected a positive number");
  EXPECT_ERROR(Scaling("{" + kYarnKeys + R"(, "truncate": 1})"), "truncate: expected true or false");
  EXPECT_ERROR(Scaling(R"({"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4})"),
               "high_freq_factor 4 must exceed low_freq_factor 4");
  EXPECT_ERROR(Scaling(R"({"rope_type": "longrope", "short_factor": [1, 2], "long_factor": [1]})"),
               "short_factor: has 2 values, expected 8, half of head_dim");
  EXPECT_ERROR(Scaling(R"({"rope_type": "longrope", "short_factor": [1, 1, 1, 1, 1, 1, 1, 0]})"),
               "short_factor[7]: expected a positive number, found 0");
  EXPECT_ERROR(Scaling("{" + kLongRopeKeys + R"(, "original_max_position_embeddings": 1})"),
               "an original length of 1 token gives no attention_factor");
  EXPECT_ERROR(Parse(R"({"head_dim": 2, "rope_scaling": {"rope_type": "dynamic", "factor": 2}})"),
               "rope type \"dynamic\" needs a head_dim above 2");
  EXPECT_ERROR(Scaling("{" + kYarnKeys + R"(, "partial_rotary_factor": 0.5})"),
               "rope_scaling: partial_rotary_factor 0.5 is not supported");
}

// A config that was not read from a file, or whose file lacks the keys, says all of it.
TEST(RopeConfig, WhatIsWrittenReadsBackTheSame) {
  for (RopeScaling::Kind kind : {kNone, kLinear, kLlama3, kYarn, kDynamic, kLongRope}) {
    ModelConfig config = ParseConfig(TinyConfigJson({.rope_scaling = kind}), "tiny");
    config.rope_scaling.beta_fast = kind == kYarn ? 16 : config.rope_scaling.beta_fast;
    for (const char* key : {"rope_theta", "rope_scaling"}) config.source.erase(key);
    const Json written = ToJson(config);
    const ModelConfig read = ParseConfig(written, "written");
    EXPECT_TRUE(read.notes.empty()) << Name(kind);
    EXPECT_EQ(read.rope_scaling.kind, kind);
    for (int64_t text_tok : {1, 512, 600}) {
      EXPECT_EQ(MakeRope(read, text_tok).frequencies, MakeRope(config, text_tok).frequencies) << Name(kind);
      EXPECT_EQ(MakeRope(read, text_tok).attention_factor, MakeRope(config, text_tok).attention_factor) << Name(kind);
    }
  }
}

}  // namespace
}  // namespace ecld
