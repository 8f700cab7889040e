// What a quantization_config leaves open, says twice, or says otherwise than the tensors: read as other programs do and
// told, or refused by name.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/checkpoint/foreign_checkpoint.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

using testing::Contains;
using testing::HasSubstr;

constexpr int64_t kOut = ForeignCheckpoint::kOut, kIn = ForeignCheckpoint::kIn;

ForeignConfig Parse(const Json& json) { return ParseForeignConfig(JsonView(json, "config.json")); }

TEST(QuantMethod, IsNeededAsInTransformers) {
  const Json gptq = {{"bits", 4}, {"group_size", 128}, {"desc_act", false}};
  EXPECT_ERROR(Parse(gptq),
               "config.json: quant_method is missing; expected one of compressed-tensors, fp8, fbgemm_fp8, gptq, awq, "
               "auto-round; \"gptq\" is the method that has desc_act");
  EXPECT_ERROR(Parse({{"bits", 4}, {"zero_point", true}}), "\"awq\" is the method that has these keys");
  EXPECT_ERROR(Parse({{"config_groups", Json::object()}}), "\"compressed-tensors\" is the method that has");
  EXPECT_ERROR(Parse({{"weight_block_size", {128, 128}}}), "\"fp8\" is the method that has weight_block_size");
  EXPECT_ERROR(Parse({{"bits", 4}}), "it names the program that quantized the model");
  EXPECT_ERROR(Parse({{"load_in_4bit", true}}), "these are keys of bitsandbytes, whose weights are not read");
}

// Codes of ones, so that the weights are the scales.
void PutOnes(ForeignCheckpoint& checkpoint, int64_t out, int64_t in) {
  checkpoint.Put("weight", DType::kF8E4M3, {out, in}, std::vector<uint8_t>(static_cast<size_t>(out * in), 0x38));
}

TEST(OpenBlocks, AreToldAndRefusedWhereTwoReadingsFit) {
  ForeignCheckpoint checkpoint({.intermediate_size = 192});
  PutOnes(checkpoint, 192, kIn);
  checkpoint.Put("weight_scale_inv", DType::kF32, {2, 1}, std::vector<float>{1, 2});
  EXPECT_ERROR(checkpoint.Open(),
               "up_proj.weight_scale_inv\" has shape [2, 1], which may be blocks of 128 x 64, smaller at the edges, "
               "or of 96 x 64 of [192, 64]; quantization_config must say which (weight_block_size)");
  for (const int64_t block : {128, 96}) {
    checkpoint.config["quantization_config"] = {{"quant_method", "fp8"}, {"weight_block_size", {block, 64}}};
    EXPECT_EQ(ForeignCheckpoint::Weights(checkpoint.Open())[100 * kIn], block == 128 ? 1 : 2);
  }
  checkpoint.config["quantization_config"] = {{"quant_method", "fp8"}};
  EXPECT_ERROR(checkpoint.Open(), "quantization_config must say which");
  checkpoint.Put("weight_scale_inv", DType::kF32, {6, 1}, std::vector<float>{1, 2, 3, 4, 5, 6});
  EXPECT_EQ(ForeignCheckpoint::Weights(checkpoint.Open())[33 * kIn], 2) << "six of 32";
  checkpoint.config.erase("quantization_config");
  checkpoint.Put("weight_scale_inv", DType::kF32, {3, 1}, std::vector<float>{1, 2, 3});
  const Checkpoint opened = checkpoint.Open();
  EXPECT_EQ(ForeignCheckpoint::Weights(opened)[100 * kIn], 2);
  EXPECT_THAT(opened.notes(), Contains(HasSubstr("config.json has no quantization_config; they are applied")));
  EXPECT_THAT(opened.notes(), Contains(HasSubstr("read as their number says: 64 x 64 for 1")));
  EXPECT_THAT(opened.translation()->ToJson()["notes"], Contains(HasSubstr("64 x 64 for 1"))) << "in the report too";
}

TEST(OpenBlocks, OneScaleThatTheConfigSaysIsNotOneForEachOutput) {
  ForeignCheckpoint checkpoint;
  PutOnes(checkpoint, kOut, kIn);
  checkpoint.Put("weight_scale", DType::kF32, {kOut, 1}, std::vector<float>(kOut, 1));
  Json& weights = checkpoint.config["quantization_config"];
  weights = {
      {"quant_method", "compressed-tensors"},
      {"format", "float-quantized"},
      {"config_groups",
       {{"group_0", {{"targets", {ForeignCheckpoint::kModule}}, {"weights", {{"num_bits", 8}, {"type", "float"}}}}}}}};
  EXPECT_ERROR(checkpoint.Open(), "has shape [96, 1], but quantization_config says blocks of all x all of [96, 64]");
  weights["config_groups"]["group_0"]["weights"]["group_size"] = -1;
  EXPECT_EQ(ForeignCheckpoint::Weights(checkpoint.Open())[5], 1) << "-1 is a scale for each output";
}

TEST(PowersOfTwo, AreScalesToo) {
  ForeignCheckpoint checkpoint;
  PutOnes(checkpoint, kOut, kIn);
  checkpoint.config["quantization_config"] = {
      {"quant_method", "fp8"}, {"scale_fmt", "ue8m0"}, {"weight_block_size", {48, 32}}};
  checkpoint.Put("weight_scale_inv", DType::kF8E8M0, {2, 2}, std::vector<uint8_t>{127, 120, 130, 0});
  const Checkpoint opened = checkpoint.Open();
  const std::vector<float> weights = ForeignCheckpoint::Weights(opened);
  EXPECT_EQ(weights[0], 1);
  EXPECT_EQ(weights[32], std::ldexp(1.0f, -7));
  EXPECT_EQ(weights[48 * kIn], 8);
  EXPECT_EQ(weights[48 * kIn + 32], std::ldexp(1.0f, -127));
  checkpoint.Put("weight_scale_inv", DType::kF8E8M0, {2, 2}, std::vector<uint8_t>{127, 255, 130, 0});
  const Checkpoint other = checkpoint.Open();
  EXPECT_ERROR(ForeignCheckpoint::Weights(other), "weight_scale_inv\" holds nan at element 1");
}

Json BlockConfig(Json structure) {
  return {
      {"quant_method", "compressed-tensors"},
      {"format", "float-quantized"},
      {"config_groups",
       {{"group_0",
         {{"targets", {"Linear"}},
          {"weights",
           {{"num_bits", 8}, {"type", "float"}, {"strategy", "block"}, {"block_structure", std::move(structure)}}}}}}}};
}

TEST(TwoKeys, OfOneThingThatDisagreeAreNamed) {
  Json json = {{"quant_method", "awq"}, {"w_bit", 4}, {"q_group_size", 32}};
  EXPECT_EQ(Parse(json).groups[0].scheme->block_inputs, 32);
  json["group_size"] = 128;
  EXPECT_ERROR(Parse(json), "q_group_size: is 32, and group_size 128; one of the two is wrong");
  json["group_size"] = 32;
  json["bits"] = 8;
  EXPECT_ERROR(Parse(json), "w_bit: is 4, and bits 8; one of the two is wrong");
}

TEST(BlockStructure, IsAlsoAText) {
  for (const Json& structure : {Json("64x32"), Json({64, 32})}) {
    const ForeignConfig config = Parse(BlockConfig(structure));
    EXPECT_EQ(config.groups[0].scheme->block_outputs, 64);
    EXPECT_EQ(config.groups[0].scheme->block_inputs, 32);
  }
  for (const Json& structure : {Json("64"), Json("64x"), Json("x64"), Json("64x32x"), Json("0x4"), Json("64*32"),
                                Json({64}), Json("-1x4"), Json("99999999999999999999x1")})
    EXPECT_ERROR(Parse(BlockConfig(structure)), "block_structure: expected two numbers from 1 to 2^30");
  Json json = BlockConfig("64x32");
  json["config_groups"]["group_0"]["weights"]["strategy"] = "channel";
  EXPECT_ERROR(Parse(json), "block_structure: is of strategy \"block\", and the strategy is \"channel\"");
}

class TwoGroups : public testing::Test {
 protected:
  static Json Group(const char* target, int bits) {
    return {{"targets", {target}}, {"weights", {{"num_bits", bits}, {"strategy", "group"}, {"group_size", 32}}}};
  }
  static int Bits(const Json& first, const Json& second) {
    const Json json = {{"quant_method", "compressed-tensors"}, {"config_groups", {{"a", first}, {"b", second}}}};
    return Parse(json).SchemeOf({"model.layers.0.mlp.up_proj"}, "Linear")->bits;
  }
};

TEST_F(TwoGroups, CountByHowCloselyTheyName) {
  EXPECT_EQ(Bits(Group("Linear", 8), Group("re:.*up_proj", 4)), 4);
  EXPECT_EQ(Bits(Group("re:.*up_proj", 8), Group("model.layers.0.mlp.up_proj", 4)), 4);
  EXPECT_EQ(Bits(Group("re:.*up_proj", 4), Group("re:.*mlp.*", 4)), 4) << "which say the same";
}

// compressed-tensors takes the first in the alphabet, vLLM the first of the file.
TEST_F(TwoGroups, ThatAreEquallyCloseAndDifferAreNamed) {
  EXPECT_ERROR(Bits(Group("re:.*up_proj", 4), Group("re:.*mlp.*", 8)),
               "a and b say different things of model.layers.0.mlp.up_proj, and neither names it more closely");
  EXPECT_ERROR(Bits(Group("Linear", 4), Group("Linear", 8)), "say different things");
}

TEST(Dynamic, TheFirstThatMatchesCounts) {
  const Json json = {{"quant_method", "gptq"},
                     {"bits", 4},
                     {"dynamic", {{"+:.*up_proj", {{"bits", 8}}}, {"-:.*mlp.*", Json::object()}}}};
  const ForeignConfig config = Parse(json);
  EXPECT_EQ(config.SchemeOf({"model.layers.0.mlp.up_proj"}, "Linear")->bits, 8);
  EXPECT_EQ(config.SchemeOf({"model.layers.0.mlp.down_proj"}, "Linear"), nullptr);
  EXPECT_EQ(config.SchemeOf({"model.layers.0.self_attn.q_proj"}, "Linear")->bits, 4);
}

// A gptq matrix of zeros.
void PutGptq(ForeignCheckpoint& checkpoint) {
  checkpoint.Remove("weight");
  checkpoint.Put("qweight", DType::kI32, {kIn / 8, kOut}, std::vector<uint32_t>(kIn / 8 * kOut, 0x88888888));
  checkpoint.Put("qzeros", DType::kI32, {2, kOut / 8}, std::vector<uint32_t>(2 * kOut / 8, 0x77777777));
  checkpoint.Put("scales", DType::kF32, {2, kOut}, std::vector<float>(2 * kOut, 1));
  checkpoint.config["quantization_config"] = {
      {"quant_method", "gptq"}, {"bits", 4}, {"group_size", 32}, {"sym", true}, {"desc_act", true}};
}

TEST(GptqOrder, ThatTheConfigSaysIsNeeded) {
  ForeignCheckpoint checkpoint;
  PutGptq(checkpoint);
  EXPECT_ERROR(checkpoint.Open(), "up_proj.g_idx\" is missing");
  checkpoint.config["quantization_config"]["desc_act"] = false;
  EXPECT_EQ(ForeignCheckpoint::Weights(checkpoint.Open())[3], 0);
}

TEST(TwoSources, OfOneMatrixAreNamed) {
  ForeignCheckpoint checkpoint;
  PutGptq(checkpoint);
  checkpoint.config["quantization_config"]["desc_act"] = false;
  checkpoint.Put("weight", DType::kF32, {kOut, kIn}, std::vector<float>(kOut * kIn, 1));
  for (const Unpacking unpacking : {Unpacking::kKeep, Unpacking::kDense})
    EXPECT_ERROR(checkpoint.Open(unpacking), "up_proj.weight\" is stored beside codes of the same matrix");
}

TEST(TwoSources, ConfigsThatDisagreeAreTold) {
  ForeignCheckpoint checkpoint;
  PutGptq(checkpoint);
  Json& config = checkpoint.config["quantization_config"];
  config["desc_act"] = false;
  Json other = config;
  other["bits"] = 8;
  WriteJsonFile(checkpoint.Write() / "quantize_config.json", other);
  EXPECT_THAT(Checkpoint::Open(checkpoint.directory()).notes(),
              Contains(HasSubstr("quantize_config.json says otherwise than quantization_config of config.json")));
}

TEST(Ignored, WhatIsNotQuantizedMustBe) {
  ForeignCheckpoint checkpoint;
  checkpoint.decoder = "language_model.model.";
  checkpoint.head = "language_model.";
  Json json = BlockConfig({32, 32});
  json["ignore"] = {"lm_head"};
  checkpoint.config["quantization_config"] = json;
  EXPECT_ERROR(checkpoint.Open(),
               "q_proj.weight\" is stored as F32, but quantization_config has it quantized; expected its codes, or "
               "\"language_model.model.layers.0.self_attn.q_proj\" among what it ignores");
}

}  // namespace
}  // namespace ecld
