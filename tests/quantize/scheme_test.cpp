#include "quantize/scheme.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/expect_error.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kWhere = "recipe.yaml:3: stages[0]";

ModelConfig TinyConfig(bool tied) { return ParseConfig(TinyConfigJson({.tied = tied}), "config.json"); }

ModelConfig Quantized(const Scheme& scheme, bool tied) {
  ModelConfig config = TinyConfig(tied);
  config.quantization = QuantizationOf(scheme, config, kWhere);
  return config;
}

std::optional<PackedFormat> FormatIn(const ModelConfig& config, Role role, int64_t layer = -1) {
  return Find(TensorTable(config), role, layer).format;
}

TEST(Scheme, PacksProjectionsAndLeavesBothEndsDense) {
  const PackedFormat format{4, 32, true};
  for (bool tied : {false, true}) {
    const ModelConfig config = Quantized({format}, tied);
    for (Role role : {Role::kQuery, Role::kKey, Role::kValue, Role::kOutput, Role::kGate, Role::kUp, Role::kDown})
      EXPECT_EQ(FormatIn(config, role, 1), format);
    EXPECT_EQ(FormatIn(config, Role::kEmbedding), std::nullopt);
    if (!tied) {
      EXPECT_EQ(FormatIn(config, Role::kHead), std::nullopt);
    }
    EXPECT_THAT(config.quantization->ignore, Contains("lm_head"));
    EXPECT_THAT(ClientNotes(config), IsEmpty());
  }
}

TEST(Scheme, FirstMatchingOverrideCounts) {
  const PackedFormat w4{4, 32, true}, w8{8, 32, true}, w3{3, 32, false};
  Scheme scheme{w4, w8, w3, {{"*.layers.0.mlp.down_proj", w8}, {"re:.*down_proj", w3}, {"*.layers.1.*.o_proj", {}}}};
  const ModelConfig config = Quantized(scheme, false);
  EXPECT_EQ(FormatIn(config, Role::kDown, 0), w8);
  EXPECT_EQ(FormatIn(config, Role::kDown, 1), w3);
  EXPECT_EQ(FormatIn(config, Role::kOutput, 0), w4);
  EXPECT_EQ(FormatIn(config, Role::kOutput, 1), std::nullopt);
  EXPECT_EQ(FormatIn(config, Role::kEmbedding), w8);
  EXPECT_EQ(FormatIn(config, Role::kHead), w3);
  // One group per format, the main one first; and config.json says the same when it is read again.
  ASSERT_EQ(config.quantization->groups.size(), 3u);
  EXPECT_EQ(config.quantization->groups[0].format, w4);
  const ModelConfig read = ParseConfig(ToJson(config), "config.json");
  for (const auto& spec : TensorTable(config))
    if (spec.matrix()) {
      EXPECT_EQ(Find(TensorTable(read), spec.role, spec.layer).format, spec.format) << spec.name;
    }
}

TEST(Scheme, SaysWhatClientsCannotLoad) {
  const PackedFormat w4{4, 32, true};
  EXPECT_THAT(ClientNotes(Quantized({{4, 128, true}}, true)), Contains(HasSubstr("96 inputs in groups of 128")));
  EXPECT_THAT(ClientNotes(Quantized({{3, 32, true}}, true)), Contains(HasSubstr("compressed-tensors 0.18")));
  EXPECT_THAT(ClientNotes(Quantized({{4, 32, false}}, true)), Contains(HasSubstr("dequantize=True")));
  EXPECT_THAT(ClientNotes(Quantized({w4, w4}, true)), Contains(HasSubstr("a quantized embedding only with")));
  EXPECT_THAT(ClientNotes(Quantized({w4, PackedFormat{8, 32, true}}, true)),
              Contains(HasSubstr("cannot load a quantized embedding next to a second format")));
  EXPECT_THAT(ClientNotes(Quantized({w4, {}, {}, {{"*.v_proj", PackedFormat{8, 32, true}}}}, true)),
              Contains(HasSubstr("vLLM, which fuses them")));
}

TEST(Scheme, RefusesWhatCannotBe) {
  const PackedFormat w4{4, 32, true};
  auto plan = [&](const Scheme& scheme, bool tied = true) { return QuantizationOf(scheme, TinyConfig(tied), kWhere); };
  EXPECT_ERROR(plan({{7, 32, true}}), "stages[0]: bits is 7, must be 2 to 6 or 8");
  EXPECT_ERROR(plan({{4, 12, true}}), "group_size is 12");
  EXPECT_ERROR(plan({w4, PackedFormat{7, 32, true}}), "stages[0].embeddings: bits is 7");
  EXPECT_ERROR(plan({w4, {}, w4}), "stages[0].lm_head: the head of this model is its embedding");
  EXPECT_ERROR(plan({w4, {}, {}, {{"*.down_porj", w4}}}), "overrides[0].match: \"*.down_porj\" matches no matrix");
  EXPECT_ERROR(plan({w4, {}, {}, {{"re:(", w4}}}), "overrides[0].match: \"(\" is not a regular expression");
  EXPECT_ERROR(plan({w4, {}, {}, {{"*.down_proj", PackedFormat{4, -8, true}}}}), "overrides[0]: group_size is -8");
  EXPECT_ERROR(QuantizationOf({w4}, Quantized({w4}, true), kWhere), "quantized already");
}

}  // namespace
}  // namespace ecld
