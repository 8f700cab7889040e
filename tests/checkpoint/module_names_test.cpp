// Lists of modules in a quantization_config, of models whose tensors have other names than ECLD's table: they say the
// names of the file, or those which transformers gives the modules once they are loaded.

#include <gtest/gtest.h>

#include "checkpoint/tensor_names.h"
#include "tests/checkpoint/foreign_checkpoint.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

struct Wrapper {
  std::string decoder, head;        // of the file
  std::string listed, listed_head;  // of the config
};

class WrappedNames : public testing::TestWithParam<Wrapper> {
 protected:
  WrappedNames() : known_(4, 32, true) {
    checkpoint_.decoder = GetParam().decoder;
    checkpoint_.head = GetParam().head;
  }
  std::string Listed(const std::string& module) const {
    return module.starts_with("model.") ? GetParam().listed + module.substr(6) : GetParam().listed_head + module;
  }
  // All linears but the packed one.
  Json Others() const {
    Json others = {Listed("lm_head")};
    const Checkpoint plain = ForeignCheckpoint().Open();
    for (const TensorSpec& spec : plain.table())
      if (spec.matrix() && spec.role != Role::kEmbedding && spec.role != Role::kHead &&
          spec.module != ForeignCheckpoint::kModule)
        others.push_back(Listed(spec.module));
    return others;
  }
  void PutPacked() {
    checkpoint_.Remove("weight");
    checkpoint_.Put("weight_packed", DType::kI32, {known_.out, known_.in / 8}, BitStream(4, known_.codes));
    checkpoint_.Put("weight_scale", DType::kF16, {known_.out, known_.Groups()}, known_.scales);
    checkpoint_.Put("weight_shape", DType::kI64, {2}, std::vector<int64_t>{known_.out, known_.in});
  }
  Json& UseGroup(Json targets, Json ignore) {
    Json& config = checkpoint_.config["quantization_config"];
    config = {{"quant_method", "compressed-tensors"},
              {"format", "pack-quantized"},
              {"ignore", std::move(ignore)},
              {"config_groups",
               {{"group_0",
                 {{"targets", std::move(targets)},
                  {"weights", {{"num_bits", 4}, {"strategy", "group"}, {"group_size", 32}, {"symmetric", true}}}}}}}};
    return config;
  }
  void ExpectKnown(const char* what) {
    const Checkpoint opened = checkpoint_.Open();
    EXPECT_EQ(ForeignCheckpoint::Spec(opened).format, (PackedFormat{4, 32, true})) << what;
    EXPECT_FALSE(Find(opened.table(), Role::kUp, 1).format) << what;
    EXPECT_TRUE(Near(ForeignCheckpoint::Weights(opened), known_.Expected(), Exact())) << what;
    EXPECT_EQ(opened.config().quantization->FormatOf(ForeignCheckpoint::kModule, "Linear"), (PackedFormat{4, 32, true}))
        << what << ": under the names that ECLD writes";
  }

  ForeignCheckpoint checkpoint_;
  KnownGroups known_;
};

TEST_P(WrappedNames, CompressedTensorsTargetsAndIgnore) {
  PutPacked();
  UseGroup({"Linear"}, Others());
  ExpectKnown("exact names that are ignored");
  UseGroup({Listed(ForeignCheckpoint::kModule)}, Json::array());
  ExpectKnown("an exact target");
  UseGroup({"re:" + Listed("model.layers") + "\\.0\\.mlp\\.up_proj$"}, Json::array());
  ExpectKnown("a regex");
}

TEST_P(WrappedNames, TransformsOfInputs) {
  PutPacked();
  Json& config = UseGroup({Listed(ForeignCheckpoint::kModule)}, Json::array());
  config["transform_config"]["config_groups"]["R4"] = {
      {"type", "hadamard"},
      {"head_dim", 16},
      {"apply", {{{"targets", {Listed(ForeignCheckpoint::kModule)}}, {"location", "input"}}}}};
  EXPECT_FALSE(ForeignCheckpoint::Spec(checkpoint_.Open()).format) << "a matrix was folded in";
}

TEST_P(WrappedNames, DynamicOfGptq) {
  checkpoint_.Remove("weight");
  std::vector<uint32_t> qweight(static_cast<size_t>(known_.in / 8 * known_.out));
  for (int64_t row = 0; row < known_.out; ++row)
    for (int64_t i = 0; i < known_.in; ++i)
      qweight[static_cast<size_t>(i / 8 * known_.out + row)] |= static_cast<uint32_t>(known_.Code(row, i)) << i % 8 * 4;
  checkpoint_.Put("qweight", DType::kI32, {known_.in / 8, known_.out}, qweight);
  checkpoint_.Put("qzeros", DType::kI32, {known_.Groups(), known_.out / 8},
                  std::vector<uint32_t>(static_cast<size_t>(known_.Groups() * known_.out / 8), 0x77777777));
  checkpoint_.Put("scales", DType::kF16, {known_.Groups(), known_.out}, known_.TransposedScales());
  checkpoint_.config["quantization_config"] = {
      {"quant_method", "gptq"},
      {"bits", 8},
      {"group_size", 128},
      {"sym", true},
      {"dynamic", {{"+:^" + Listed("model.layers") + "\\.0\\..*", {{"bits", 4}, {"group_size", 32}}}}}};
  ExpectKnown("dynamic");
}

INSTANTIATE_TEST_SUITE_P(
    Of, WrappedNames,
    testing::Values(Wrapper{"model.", "", "model.", ""}, Wrapper{"", "", "", ""}, Wrapper{"", "", "model.", ""},
                    Wrapper{"language_model.model.", "language_model.", "language_model.model.", "language_model."},
                    Wrapper{"language_model.model.", "language_model.", "model.language_model.", ""},
                    Wrapper{"model.language_model.", "", "model.language_model.", ""},
                    Wrapper{"module.model.", "module.", "module.model.", "module."}));

TEST(ModuleNames, ARegexOfOtherPartsDoesNotReachTheTable) {
  const ModuleNames names({"language_model.model.", "language_model."});
  EXPECT_EQ(names.Of("model.layers.0.mlp.up_proj"),
            (std::vector<std::string>{"language_model.model.layers.0.mlp.up_proj",
                                      "model.language_model.layers.0.mlp.up_proj"}));
  EXPECT_EQ(names.Of("lm_head"), (std::vector<std::string>{"language_model.lm_head", "lm_head"}));
  EXPECT_EQ(Specificity("re:(?!.*language_model).*proj", names.Of("model.layers.0.mlp.up_proj"), "Linear"), 0);
  EXPECT_EQ(ModuleNames().Of("model.norm"), (std::vector<std::string>{"model.norm"}));
}

TEST(ModuleNames, TwoTensorsOfOneNameAreNamed) {
  TensorViews tensors;
  for (const char* name :
       {"language_model.model.layers.0.input_layernorm.weight", "lm_head.weight", "language_model.lm_head.weight"})
    tensors.emplace(name, TensorView{DType::kF32, {}, {}});
  ModuleNames names;
  EXPECT_ERROR(UseStandardNames(&tensors, &names),
               "\"lm_head.weight\": is \"lm_head.weight\" of this model, and so is");
}

}  // namespace
}  // namespace ecld
