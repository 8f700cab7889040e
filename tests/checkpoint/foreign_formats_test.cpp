// 8-bit floats, compressed-tensors' formats and its transforms: values computed here from the stored bytes must be
// read.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "tests/checkpoint/foreign_checkpoint.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

constexpr int64_t kOut = ForeignCheckpoint::kOut, kIn = ForeignCheckpoint::kIn;

// E4M3 without infinities: sign, 4 bits of exponent (bias 7), 3 of mantissa.
float E4M3(uint8_t bits) {
  const int exponent = bits >> 3 & 15, mantissa = bits & 7;
  const double value = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  return static_cast<float>(bits & 128 ? -value : value);
}

// Random 8-bit floats and a scale for each of blocks; expected values by the published product.
struct Float8 {
  std::vector<uint8_t> codes;
  std::vector<float> scales, expected;
  int64_t rows, columns;

  Float8(int64_t block_outputs, int64_t block_inputs)
      : rows((kOut + block_outputs - 1) / block_outputs), columns((kIn + block_inputs - 1) / block_inputs) {
    Random random(9);
    for (int64_t i = 0; i < rows * columns; ++i) scales.push_back(static_cast<float>(1e-4 + 1e-3 * random.Uniform()));
    for (int64_t row = 0; row < kOut; ++row)
      for (int64_t i = 0; i < kIn; ++i) {
        auto code = static_cast<uint8_t>(random.Below(256));
        if ((code & 127) == 127) code = 0;  // NaN
        codes.push_back(code);
        expected.push_back(E4M3(code) * scales[static_cast<size_t>(row / block_outputs * columns + i / block_inputs)]);
      }
  }
  void Put(ForeignCheckpoint& checkpoint, const char* scale, const std::vector<int64_t>& shape) const {
    checkpoint.Put("weight", DType::kF8E4M3, {kOut, kIn}, codes);
    checkpoint.Put(scale, DType::kF32, shape, scales);
  }
};

Json Fp8Config(Json block) {
  return {{"quant_method", "fp8"},
          {"fmt", "e4m3"},
          {"activation_scheme", "dynamic"},
          {"weight_block_size", std::move(block)}};
}

TEST(Fp8, BlocksWithSmallerOnesAtTheEdges) {
  const Float8 known(40, 24);
  ForeignCheckpoint checkpoint;
  known.Put(checkpoint, "weight_scale_inv", {3, 3});
  checkpoint.config["quantization_config"] = Fp8Config({40, 24});
  const Checkpoint opened = checkpoint.Open();
  EXPECT_FALSE(opened.config().quantization);
  EXPECT_TRUE(Near(ForeignCheckpoint::Weights(opened), known.expected, Exact()));
  ASSERT_TRUE(opened.translation());
  EXPECT_EQ(opened.translation()->ToJson()["not_applied"].size(), 1u) << "activations are not rounded, and it is said";
}

TEST(Fp8, OneScaleForAllOrForEachOutput) {
  ForeignCheckpoint checkpoint;
  checkpoint.config["quantization_config"] = Fp8Config(nullptr);
  const Float8 whole(kOut, kIn), rows(1, kIn);
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{}, {1}, {1, 1}}) {
    whole.Put(checkpoint, "weight_scale_inv", shape);
    EXPECT_TRUE(Near(ForeignCheckpoint::Weights(checkpoint.Open()), whole.expected, Exact()));
  }
  checkpoint.Put("activation_scale", DType::kF32, {1}, std::vector<float>{0.1f});
  EXPECT_FALSE(checkpoint.Open().Has(ForeignCheckpoint::Name("activation_scale")));
  checkpoint.Remove("weight_scale_inv");
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{kOut}, {kOut, 1}}) {
    rows.Put(checkpoint, "weight_scale", shape);
    EXPECT_TRUE(Near(ForeignCheckpoint::Weights(checkpoint.Open()), rows.expected, Exact()));
  }
}

// Users take the quantization_config out so that another program loads the file; the scales are still there.
TEST(Fp8, ScalesAreAppliedWithoutAConfigToo) {
  for (const auto& [outputs, inputs] : {std::pair<int64_t, int64_t>{32, 16}, {128, 128}}) {
    const Float8 known(outputs, inputs);
    ForeignCheckpoint checkpoint;
    known.Put(checkpoint, "weight_scale_inv", {known.rows, known.columns});
    EXPECT_TRUE(Near(ForeignCheckpoint::Weights(checkpoint.Open()), known.expected, Exact()));
  }
}

TEST(Fp8, MistakesAreNamed) {
  ForeignCheckpoint checkpoint;
  checkpoint.config["quantization_config"] = Fp8Config({32, 32});
  Float8 known(32, 32);
  known.Put(checkpoint, "weight_scale_inv", {3, 2});
  known.codes[70] = 0x7f;
  known.Put(checkpoint, "weight_scale_inv", {3, 2});
  const Checkpoint opened = checkpoint.Open();
  EXPECT_ERROR(ForeignCheckpoint::Weights(opened), "up_proj.weight is nan at [1, 6], which F32 cannot hold");
  checkpoint.Put("weight_zero_point", DType::kI8, {1}, std::vector<int8_t>{3});
  EXPECT_ERROR(checkpoint.Open(), "up_proj.weight_zero_point\" is not zero, and 8-bit floats have none");
  checkpoint.Remove("weight_zero_point");
  checkpoint.Put("weight_scale_inv", DType::kF32, {5, 2}, std::vector<float>(10, 1.0f));
  EXPECT_ERROR(checkpoint.Open(), "has shape [5, 2], but quantization_config says blocks of 32 x 32 of [96, 64]");
  checkpoint.config.erase("quantization_config");
  EXPECT_ERROR(checkpoint.Open(), "has shape [5, 2], which divides [96, 64] into no blocks that are known");
  checkpoint.config["quantization_config"] = Fp8Config({32, 32});
  checkpoint.Remove("weight_scale_inv");
  EXPECT_ERROR(checkpoint.Open(), "is of 8-bit floats, and no scale of theirs is there");
  auto with = [](const char* key, Json value) {
    Json json = Fp8Config({128, 128});
    json[key] = std::move(value);
    return ParseForeignConfig(JsonView(json, "config.json"));
  };
  EXPECT_ERROR(with("weight_block_size", {128}), "weight_block_size: expected two numbers from 1 to 2^30");
  EXPECT_ERROR(with("expert_dtype", "fp4"), "\"fp4\" is not supported; expected \"fp8\"");
  EXPECT_ERROR(with("fmt", "e3m4"), "\"e3m4\" is not supported; expected \"e4m3\"");
  EXPECT_ERROR(with("modules_to_skip", Json::array()), "key \"modules_to_skip\" is unknown");
}

Json CompressedConfig(const char* format, Json weights) {
  return {
      {"quant_method", "compressed-tensors"},
      {"format", format},
      {"version", "0.12.2"},
      {"ignore", {"lm_head"}},
      {"config_groups", {{"group_0", {{"targets", {ForeignCheckpoint::kModule}}, {"weights", std::move(weights)}}}}}};
}

// int8 codes and zero points, both less the middle.
void PutInt8(ForeignCheckpoint& checkpoint, const KnownGroups& known, bool zeros) {
  const int middle = 1 << (known.bits - 1);
  auto less = [&](const std::vector<int>& values) {
    std::vector<int8_t> bytes;
    for (const int value : values) bytes.push_back(static_cast<int8_t>(value - middle));
    return bytes;
  };
  checkpoint.Put("weight", DType::kI8, {kOut, kIn}, less(known.codes));
  checkpoint.Put("weight_scale", DType::kF16, {kOut, known.Groups()}, known.scales);
  if (zeros) checkpoint.Put("weight_zero_point", DType::kI8, {kOut, known.Groups()}, less(known.zeros));
}

TEST(CompressedTensors, IntegersThatAreNotPacked) {
  for (const int bits : {4, 8})
    for (const bool symmetric : {true, false})
      for (const int64_t size : {int64_t{32}, int64_t{0}}) {
        const KnownGroups known(bits, size, symmetric);
        ForeignCheckpoint checkpoint;
        PutInt8(checkpoint, known, !symmetric || size == 0);
        Json weights = {
            {"num_bits", bits}, {"type", "int"}, {"symmetric", symmetric}, {"strategy", size ? "group" : "channel"}};
        if (size) weights["group_size"] = size;
        checkpoint.config["quantization_config"] = CompressedConfig("int-quantized", weights);
        const Checkpoint opened = checkpoint.Open();
        EXPECT_EQ(ForeignCheckpoint::Spec(opened).format, (PackedFormat{bits, size, symmetric}));
        EXPECT_TRUE(Near(ForeignCheckpoint::Weights(opened), known.Expected(), Exact()));
      }
}

TEST(CompressedTensors, IntegersOutOfRangeAreNamed) {
  KnownGroups known(4, 32, true);
  ForeignCheckpoint checkpoint;
  checkpoint.config["quantization_config"] =
      CompressedConfig("int-quantized", {{"num_bits", 4}, {"strategy", "group"}, {"group_size", 32}});
  EXPECT_ERROR(checkpoint.Open(), "up_proj.weight\" is stored as F32, but quantization_config has it quantized");
  known.codes[10] = 16;
  PutInt8(checkpoint, known, false);
  const Checkpoint opened = checkpoint.Open();
  EXPECT_ERROR(ForeignCheckpoint::Weights(opened), "up_proj.weight\" holds 8, which 4 bits cannot");
  known = KnownGroups(4, 32, false);
  PutInt8(checkpoint, known, true);
  const Checkpoint other = checkpoint.Open();
  EXPECT_ERROR(ForeignCheckpoint::Weights(other), "weight_zero_point\" holds the zero point");
}

TEST(CompressedTensors, FloatsOfEveryStrategy) {
  struct Case {
    int64_t outputs, inputs;
    Json weights;
    std::vector<int64_t> shape;
  };
  for (const Case& test :
       {Case{kOut, kIn, {{"strategy", "tensor"}}, {1}}, Case{1, kIn, {{"strategy", "channel"}}, {kOut, 1}},
        Case{1, 32, {{"strategy", "group"}, {"group_size", 32}}, {kOut, 2}},
        Case{40, 24, {{"strategy", "block"}, {"block_structure", {40, 24}}}, {3, 3}}}) {
    const Float8 known(test.outputs, test.inputs);
    ForeignCheckpoint checkpoint;
    known.Put(checkpoint, "weight_scale", test.shape);
    Json weights = test.weights;
    weights.update({{"num_bits", 8}, {"type", "float"}, {"symmetric", true}});
    checkpoint.config["quantization_config"] = CompressedConfig("float-quantized", weights);
    EXPECT_TRUE(Near(ForeignCheckpoint::Weights(checkpoint.Open()), known.expected, Exact()));
  }
}

// Codes along the inputs of each row, with an optional group index, in the packing of a release.
void PutPacked(ForeignCheckpoint& checkpoint, const KnownGroups& known, bool padded, bool zeros, bool ordered) {
  auto words = [&](const std::vector<int>& values) {
    if (!padded) return BitStream(known.bits, values);
    const size_t each = static_cast<size_t>(32 / known.bits);
    std::vector<uint32_t> packed((values.size() + each - 1) / each);
    for (size_t i = 0; i < values.size(); ++i)
      packed[i / each] |= static_cast<uint32_t>(values[i]) << i % each * static_cast<size_t>(known.bits);
    return packed;
  };
  std::vector<uint32_t> codes;
  for (int64_t row = 0; row < kOut; ++row) {
    const auto first = known.codes.begin() + row * kIn;
    for (const uint32_t word : words({first, first + kIn})) codes.push_back(word);
  }
  checkpoint.Remove("weight");
  checkpoint.Put("weight_packed", DType::kI32, {kOut, std::ssize(codes) / kOut}, codes);
  checkpoint.Put("weight_scale", DType::kF16, {kOut, known.Groups()}, known.scales);
  checkpoint.Put("weight_shape", DType::kI64, {2}, std::vector<int64_t>{kOut, kIn});
  if (ordered) checkpoint.Put("weight_g_idx", DType::kI32, {kIn}, known.group_of);
  if (!zeros) return;
  std::vector<std::vector<uint32_t>> columns;
  for (int64_t group = 0; group < known.Groups(); ++group) {
    std::vector<int> column;
    for (int64_t row = 0; row < kOut; ++row) column.push_back(known.Zero(row, group));
    columns.push_back(words(column));
  }
  std::vector<uint32_t> flat;
  for (size_t word = 0; word < columns[0].size(); ++word)
    for (const auto& column : columns) flat.push_back(column[word]);
  checkpoint.Put("weight_zero_point", DType::kI32, {std::ssize(columns[0]), known.Groups()}, flat);
}

Json PackedWeights(const KnownGroups& known, bool symmetric) {
  return {{"num_bits", known.bits},
          {"type", "int"},
          {"symmetric", symmetric},
          {"strategy", "group"},
          {"group_size", known.group_size}};
}

TEST(CompressedTensors, PackedByReleasesThatFilledWords) {
  for (const int bits : {3, 5, 6, 7})
    for (const bool symmetric : {true, false}) {
      const KnownGroups known(bits, 32, symmetric);
      ForeignCheckpoint checkpoint;
      PutPacked(checkpoint, known, true, !symmetric, false);
      checkpoint.config["quantization_config"] = CompressedConfig("pack-quantized", PackedWeights(known, symmetric));
      const Checkpoint opened = checkpoint.Open();
      EXPECT_EQ(ForeignCheckpoint::Spec(opened).format.has_value(), bits != 7);
      EXPECT_TRUE(Near(ForeignCheckpoint::Weights(opened), known.Expected(), Exact()));
    }
}

TEST(CompressedTensors, AGroupForEachInput) {
  for (const bool ordered : {true, false}) {
    KnownGroups known(4, 16, false);
    if (ordered)
      for (int64_t i = 0; i < kIn; ++i) known.group_of[static_cast<size_t>(i)] = static_cast<int>(i % 4);
    ForeignCheckpoint checkpoint;
    PutPacked(checkpoint, known, false, true, true);
    Json weights = PackedWeights(known, false);
    weights["actorder"] = "group";
    checkpoint.config["quantization_config"] = CompressedConfig("pack-quantized", weights);
    const Checkpoint opened = checkpoint.Open();
    EXPECT_EQ(ForeignCheckpoint::Spec(opened).format.has_value(), !ordered);
    EXPECT_TRUE(Near(ForeignCheckpoint::Weights(opened), known.Expected(), Exact()));
    known.group_of[5] = 4;
    PutPacked(checkpoint, known, false, true, true);
    EXPECT_ERROR(checkpoint.Open(), "weight_g_idx\" holds 4 at element 5, expected a group from 0 to 3");
  }
}

TEST(CompressedTensors, WhatIsOursAlreadyIsReadWhereItLies) {
  for (const char* order : {"static", "weight"}) {
    const KnownGroups known(4, 32, false);
    ForeignCheckpoint checkpoint;
    PutPacked(checkpoint, known, false, true, false);
    Json weights = PackedWeights(known, false);
    weights["actorder"] = order;
    checkpoint.config["quantization_config"] = CompressedConfig("pack-quantized", weights);
    const Checkpoint opened = checkpoint.Open();
    EXPECT_FALSE(opened.translation());
    EXPECT_TRUE(Near(ForeignCheckpoint::Weights(opened), known.Expected(), Exact()));
    const Checkpoint dense = checkpoint.Open(Unpacking::kDense);
    EXPECT_FALSE(dense.config().quantization);
    EXPECT_TRUE(Near(ForeignCheckpoint::Weights(dense), known.Expected(), Exact()));
  }
}

TEST(CompressedTensors, EachGroupMayHaveAFormatOfItsOwn) {
  const KnownGroups known(4, 32, true);
  const Float8 floats(1, kIn);
  ForeignCheckpoint checkpoint;
  PutPacked(checkpoint, known, false, false, false);
  const std::string other = "model.layers.1.mlp.up_proj";
  checkpoint.Put(other + ".weight", DType::kF8E4M3, {kOut, kIn}, floats.codes);
  checkpoint.Put(other + ".weight_scale", DType::kF32, {kOut, 1}, floats.scales);
  Json json = CompressedConfig("mixed-precision", PackedWeights(known, true));
  json["config_groups"]["group_0"]["format"] = "pack-quantized";
  json["config_groups"]["group_1"] = {{"targets", {"re:.*layers.1.mlp.up.*"}},
                                      {"format", "float-quantized"},
                                      {"input_activations", {{"num_bits", 8}, {"type", "float"}, {"dynamic", true}}},
                                      {"weights", {{"num_bits", 8}, {"type", "float"}, {"strategy", "channel"}}}};
  checkpoint.config["quantization_config"] = json;
  const Checkpoint opened = checkpoint.Open();
  EXPECT_TRUE(Near(ForeignCheckpoint::Weights(opened), known.Expected(), Exact()));
  EXPECT_TRUE(Near(opened.ReadFloats(Find(opened.table(), Role::kUp, 1)), floats.expected, Exact()));
  EXPECT_EQ(opened.translation()->ToJson()["not_applied"].size(), 1u);
  json["config_groups"]["group_0"].erase("format");
  checkpoint.config["quantization_config"] = json;
  EXPECT_ERROR(checkpoint.Open(), "has no \"format\", which each group of a \"mixed-precision\" config needs");
}

TEST(CompressedTensors, MistakesAreNamed) {
  auto with = [](const char* pointer, Json value) {
    Json json = CompressedConfig("pack-quantized", {{"num_bits", 4}, {"group_size", 32}});
    json[Json::json_pointer(pointer)] = std::move(value);
    return ParseForeignConfig(JsonView(json, "config.json"));
  };
  EXPECT_ERROR(with("/formats", "x"), "key \"formats\" is unknown (did you mean format?)");
  EXPECT_ERROR(with("/format", "marlin-24"), "format: \"marlin-24\" is not supported; expected \"pack-quantized\"");
  EXPECT_ERROR(with("/format", "nvfp4-pack-quantized"), "\"nvfp4-pack-quantized\" is not supported");
  EXPECT_ERROR(with("/sparsity_config", {{"format", "sparse-24-bitmask"}}),
               "sparsity_config.format: \"sparse-24-bitmask\" is not supported");
  EXPECT_ERROR(with("/sparsity_config", {{"shape", 1}}), "sparsity_config: key \"shape\" is unknown");
  EXPECT_ERROR(with("/moe_sparsity_config", {{"a", 1}}), "sparse experts are not supported");
  EXPECT_NO_THROW(with("/quantization_status", "frozen"));
  EXPECT_ERROR(with("/quantization_status", "calibration"),
               "\"calibration\" is not supported; expected \"compressed\"");
  EXPECT_ERROR(with("/config_groups/W4A16", Json::array({"Linear"})), "a preset of schemes by name is not supported");
  EXPECT_ERROR(with("/config_groups/group_0/weight", 1), "key \"weight\" is unknown");
  EXPECT_ERROR(with("/config_groups/group_0/weights/bits", 4), "key \"bits\" is unknown");
  EXPECT_ERROR(with("/config_groups/group_0/input_activations", {{"bits", 4}}), "key \"bits\" is unknown");
  EXPECT_ERROR(with("/kv_cache_scheme", {{"bits", 4}}), "kv_cache_scheme: key \"bits\" is unknown");
  EXPECT_ERROR(with("/config_groups/group_0/weights/type", "float"), "\"float\" is not supported; expected \"int\"");
  EXPECT_ERROR(with("/config_groups/group_0/weights/dynamic", true), "dynamic weight quantization is not supported");
  EXPECT_ERROR(with("/config_groups/group_0/weights/actorder", "often"), "\"often\" is not known");
  EXPECT_ERROR(with("/config_groups/group_0/weights/strategy", "token"), "\"token\" is not supported");
  EXPECT_ERROR(with("/config_groups/group_0/weights/group_size", -3), "expected 1 to 2^30 or -1 (none), found -3");
  EXPECT_ERROR(with("/config_groups/group_0/weights/strategy", "channel"), "groups have a size, and nothing else has");
  EXPECT_ERROR(with("/config_groups/group_0/weights/num_bits", 9), "expected 1 to 8, found 9");
}

// Values with Sylvester's matrix of n = block multiplied in from the right, n inputs at a time, by its definition.
std::vector<float> TimesHadamard(const std::vector<float>& values, int64_t block) {
  std::vector<float> product(values.size());
  for (int64_t i = 0; i < std::ssize(values); ++i) {
    double sum = 0;
    for (int64_t j = 0; j < block; ++j) {
      const bool negative = __builtin_parityll(static_cast<unsigned long long>(j & (i % block)));
      const double value = values[static_cast<size_t>(i / block * block + j)];
      sum += negative ? -value : value;
    }
    product[static_cast<size_t>(i)] = static_cast<float>(sum / std::sqrt(static_cast<double>(block)));
  }
  return product;
}

Json InputTransformOf(Json head_dim) {
  Json scheme = {{"type", "hadamard"},
                 {"randomize", false},
                 {"requires_grad", false},
                 {"apply",
                  {{{"targets", {"re:.*layers.0.mlp.up_proj$"}},
                    {"location", "input"},
                    {"inverse", false},
                    {"ignore", Json::array()}},
                   {{"targets", {"re:.*layers.0.mlp.up_proj$"}}, {"location", "weight_input"}, {"inverse", true}}}}};
  if (!head_dim.is_null()) scheme["head_dim"] = std::move(head_dim);
  return {{"config_groups", {{"R4", std::move(scheme)}}}};
}

TEST(Transforms, AHadamardMatrixAtTheInputsIsFoldedIntoTheWeight) {
  for (const int64_t block : {16, 64}) {
    const KnownGroups known(8, 32, true);
    ForeignCheckpoint checkpoint;
    PutPacked(checkpoint, known, false, false, false);
    checkpoint.config["quantization_config"] = CompressedConfig("pack-quantized", PackedWeights(known, true));
    checkpoint.config["quantization_config"]["transform_config"] =
        InputTransformOf(block == 64 ? Json(nullptr) : Json(block));
    const std::vector<float> expected = TimesHadamard(known.Expected(), block);
    EXPECT_TRUE(Near(ForeignCheckpoint::Weights(checkpoint.Open()), expected, Relative(1e-6)));
    std::vector<float> matrix;
    for (int64_t i = 0; i < block; ++i)
      for (int64_t j = 0; j < block; ++j)
        matrix.push_back(__builtin_parityll(static_cast<unsigned long long>(i & j)) ? -1.0f : 1.0f);
    checkpoint.Put("R4_input.weight", DType::kF32, {block, block}, matrix);
    EXPECT_TRUE(Near(ForeignCheckpoint::Weights(checkpoint.Open()), expected, Relative(1e-6))) << "stored beside it";
    matrix[3] = -matrix[3];
    checkpoint.Put("R4_input.weight", DType::kF32, {block, block}, matrix);
    const Checkpoint other = checkpoint.Open();
    EXPECT_ERROR(ForeignCheckpoint::Weights(other), "up_proj.R4_input.weight\": is not Sylvester's Hadamard matrix");
  }
}

TEST(Transforms, OthersAreNamed) {
  auto with = [](const char* pointer, Json value) {
    Json json = InputTransformOf(16);
    json[Json::json_pointer(pointer)] = std::move(value);
    return ParseTransforms(JsonView(json, "config.json", "transform_config"));
  };
  EXPECT_EQ(with("/config_groups/R4/requires_grad", true).size(), 1u);
  EXPECT_ERROR(with("/config_groups/R4/type", "random-matrix"),
               "\"random-matrix\" is not supported at an input; expected \"hadamard\"");
  EXPECT_ERROR(with("/config_groups/R4/randomize", true), "randomize: is not supported; expected false");
  EXPECT_ERROR(with("/config_groups/R4/head_dim", 24), "24 is not a power of two");
  EXPECT_ERROR(with("/config_groups/R4/apply/0/location", "q_attn"), "a transform at \"q_attn\" is not supported");
  EXPECT_ERROR(with("/config_groups/R4/apply/0/location", "output"), "a transform at \"output\" is not supported");
  EXPECT_ERROR(with("/config_groups/R4/seed", 1), "key \"seed\" is unknown");
  EXPECT_ERROR(with("/groups", 1), "key \"groups\" is unknown");
  ForeignCheckpoint checkpoint;
  checkpoint.config["quantization_config"] = {{"quant_method", "compressed-tensors"},
                                              {"config_groups", Json::object()},
                                              {"transform_config", InputTransformOf(128)}};
  EXPECT_ERROR(checkpoint.Open(), "up_proj has 64 inputs, which blocks of 128, a power of two, do not divide");
  // What it reaches in other programs, like a whole feed-forward part, would be lost.
  Json& transform = checkpoint.config["quantization_config"]["transform_config"];
  for (const char* target : {"LlamaMLP", "re:.*mlp$"}) {
    transform = InputTransformOf(16);
    transform["config_groups"]["R4"]["apply"][0]["targets"].push_back(target);
    EXPECT_ERROR(checkpoint.Open(), "\" is no linear of this model, so what it transforms is not known");
  }
  transform["config_groups"]["R4"]["apply"][0]["targets"] = nullptr;
  EXPECT_ERROR(checkpoint.Open(), "transform_config: R4: names no targets");
}

}  // namespace
}  // namespace ecld
