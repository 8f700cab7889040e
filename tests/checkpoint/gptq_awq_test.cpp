// GPTQ, AWQ and AutoRound's form of them: files built bit by bit from known codes must come back as exactly these.

#include <gtest/gtest.h>

#include <array>
#include <functional>

#include "tests/checkpoint/foreign_checkpoint.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

constexpr int64_t kOut = ForeignCheckpoint::kOut, kIn = ForeignCheckpoint::kIn;

Json GptqConfig(const KnownGroups& known, bool symmetric, const char* version) {
  return {{"quant_method", "gptq"},
          {"bits", known.bits},
          {"group_size", known.group_size == kIn ? -1 : known.group_size},
          {"sym", symmetric},
          {"desc_act", false},
          {"lm_head", false},
          {"checkpoint_format", version},
          {"pack_dtype", "int32"},
          {"meta", {{"damp_percent", 0.01}}}};
}

// The stored zero points of a group: version 1 takes one from every field of a word at once.
std::vector<uint32_t> ZeroWords(const KnownGroups& known, int64_t group, bool version1) {
  std::vector<int> fields;
  for (int64_t row = 0; row < known.out; ++row) {
    int zero = known.Zero(row, group);
    if (version1 && known.bits == 3) zero = (zero + 7) % 8;
    fields.push_back(zero);
  }
  std::vector<uint32_t> words = BitStream(known.bits, fields);
  const std::map<int, uint32_t> ones = {{2, 0x55555555u}, {4, 0x11111111u}, {8, 0x01010101u}};
  if (version1 && known.bits != 3)
    for (uint32_t& word : words) word -= ones.at(known.bits);
  return words;
}

void PutGptq(ForeignCheckpoint& checkpoint, const KnownGroups& known, bool version1) {
  const int64_t words = known.in * known.bits / 32;
  std::vector<uint32_t> qweight(static_cast<size_t>(words * known.out)), qzeros;
  for (int64_t row = 0; row < known.out; ++row) {
    const auto first = known.codes.begin() + row * known.in;
    const std::vector<uint32_t> column = BitStream(known.bits, {first, first + known.in});
    for (int64_t word = 0; word < words; ++word)
      qweight[static_cast<size_t>(word * known.out + row)] = column[static_cast<size_t>(word)];
  }
  for (int64_t group = 0; group < known.Groups(); ++group)
    for (const uint32_t word : ZeroWords(known, group, version1)) qzeros.push_back(word);
  checkpoint.Remove("weight");
  checkpoint.Put("qweight", DType::kI32, {words, known.out}, qweight);
  checkpoint.Put("qzeros", DType::kI32, {known.Groups(), known.out * known.bits / 32}, qzeros);
  checkpoint.Put("scales", DType::kF16, {known.Groups(), known.out}, known.TransposedScales());
  checkpoint.Put("g_idx", DType::kI32, {known.in}, known.group_of);
}

struct GptqCase {
  int bits;
  int64_t group_size;
  bool symmetric, version1, ordered;
};

class GptqOf : public testing::TestWithParam<GptqCase> {};

TEST_P(GptqOf, ComesBackWithTheSameCodes) {
  const auto& [bits, group_size, symmetric, version1, ordered] = GetParam();
  KnownGroups known(bits, group_size, symmetric);
  if (ordered)
    for (int64_t i = 0; i < kIn; ++i)
      known.group_of[static_cast<size_t>(i)] = static_cast<int>(i * 7 % kIn / known.group_size);
  ForeignCheckpoint checkpoint;
  PutGptq(checkpoint, known, version1);
  checkpoint.config["quantization_config"] = GptqConfig(known, symmetric, version1 ? "gptq" : "gptq_v2");
  const Checkpoint opened = checkpoint.Open();
  const auto& format = ForeignCheckpoint::Spec(opened).format;
  ASSERT_EQ(format.has_value(), !ordered);
  if (!ordered) {
    EXPECT_EQ(*format, (PackedFormat{bits, group_size, symmetric}));
  }
  EXPECT_TRUE(Near(ForeignCheckpoint::Weights(opened), known.Expected(), Exact()));
  EXPECT_FALSE(Find(opened.table(), Role::kDown, 0).format) << "the rest is dense";
  EXPECT_TRUE(Near(ForeignCheckpoint::Weights(checkpoint.Open(Unpacking::kDense)), known.Expected(), Exact()));
}

INSTANTIATE_TEST_SUITE_P(Formats, GptqOf,
                         testing::Values(GptqCase{2, 32, false, true, false}, GptqCase{2, 0, true, false, false},
                                         GptqCase{3, 32, true, true, false}, GptqCase{3, 32, false, true, false},
                                         GptqCase{3, 0, false, false, false}, GptqCase{4, 32, true, true, false},
                                         GptqCase{4, 32, false, true, false}, GptqCase{4, 16, false, false, false},
                                         GptqCase{4, 0, true, false, false}, GptqCase{4, 32, false, true, true},
                                         GptqCase{4, 16, true, false, true}, GptqCase{8, 32, true, true, false},
                                         GptqCase{8, 0, false, true, false}));

// Zero points 0 5 3 15 0 0 9 1 of eight outputs: in version 1 those of 0 borrow from their neighbours.
TEST(Gptq, ZeroPointsThatBorrowFromTheirNeighbours) {
  KnownGroups known(4, 0, false);
  constexpr std::array kZeros = {0, 5, 3, 15, 0, 0, 9, 1};
  for (int64_t row = 0; row < kOut; ++row) known.zeros[static_cast<size_t>(row)] = kZeros[static_cast<size_t>(row % 8)];
  ForeignCheckpoint checkpoint;
  PutGptq(checkpoint, known, true);
  checkpoint.Put("qzeros", DType::kI32, {1, kOut / 8}, std::vector<uint32_t>(kOut / 8, 0x07efe23f));
  checkpoint.config["quantization_config"] = GptqConfig(known, false, "gptq");
  EXPECT_TRUE(Near(ForeignCheckpoint::Weights(checkpoint.Open()), known.Expected(), Exact()));
}

class GptqMistakes : public testing::Test {
 protected:
  GptqMistakes() : known_(4, 32, true) {
    PutGptq(checkpoint_, known_, true);
    checkpoint_.config["quantization_config"] = GptqConfig(known_, true, "gptq");
  }
  Json& config() { return checkpoint_.config["quantization_config"]; }

  KnownGroups known_;
  ForeignCheckpoint checkpoint_;
};

TEST_F(GptqMistakes, OfTheConfigAreNamed) {
  auto with = [&](const char* key, Json value) {
    Json json = config();
    json[key] = std::move(value);
    return ParseForeignConfig(JsonView(json, "config.json"));
  };
  EXPECT_ERROR(with("grop_size", 32), "key \"grop_size\" is unknown (did you mean group_size?)");
  EXPECT_ERROR(with("bits", 5), "bits: expected 2, 3, 4, 8, found 5");
  EXPECT_ERROR(with("group_size", 0), "group_size: expected -1 (the whole row) or 1 to 2^30, found 0");
  EXPECT_ERROR(with("format", "gptq_v2"), "contradicts checkpoint_format");
  EXPECT_ERROR(with("checkpoint_format", "marlin"), "\"marlin\" is not supported; expected \"gptq\" or \"gptq_v2\"");
  EXPECT_ERROR(with("is_marlin_format", true), "is_marlin_format: is not supported");
  EXPECT_ERROR(with("method", "qqq"), "method: \"qqq\" is not supported; expected \"gptq\"");
  EXPECT_ERROR(with("pack_dtype", "int8"), "\"int8\" is not supported; expected \"int32\"");
  EXPECT_ERROR(with("rotation", "hadamard"), "rotation: is not supported; expected null");
  EXPECT_ERROR(with("quant_method", "bitsandbytes"),
               "\"bitsandbytes\" is not supported; expected compressed-tensors, fp8");
  EXPECT_ERROR(with("data_type", "fp8"), "\"fp8\" is not supported; expected \"int\"");
  EXPECT_ERROR(with("dynamic", {{"+:.*up_proj", {{"dtype", 3}}}}), "key \"dtype\" is unknown");
  EXPECT_ERROR(with("dynamic", {{"-:(", Json::object()}}), "is not a regular expression");
}

TEST_F(GptqMistakes, OfTheTensorsAreNamed) {
  known_.group_of[3] = 2;
  checkpoint_.Put("g_idx", DType::kI32, {kIn}, known_.group_of);
  EXPECT_ERROR(checkpoint_.Open(), "up_proj.g_idx\" holds 2 at element 3, expected a group from 0 to 1");
  known_.group_of[3] = 0;
  checkpoint_.Put("g_idx", DType::kI32, {kIn}, known_.group_of);
  config()["checkpoint_format"] = "gptq_v2";
  const Checkpoint other = checkpoint_.Open();
  EXPECT_ERROR(ForeignCheckpoint::Weights(other),
               "up_proj.qzeros\" holds the zero point 7; its quantization_config says symmetric");
  config()["checkpoint_format"] = "gptq";
  config()["group_size"] = 16;
  EXPECT_ERROR(checkpoint_.Open(), "up_proj.qzeros\" has shape [2, 12], its quantization_config needs [4, 12]");
  config()["group_size"] = 32;
  std::vector<uint16_t> scales = known_.TransposedScales();
  scales[5] = 0x7c00;
  checkpoint_.Put("scales", DType::kF16, {2, kOut}, scales);
  const Checkpoint infinite = checkpoint_.Open();
  EXPECT_ERROR(ForeignCheckpoint::Weights(infinite), "up_proj.scales\" holds inf at element 5");
  checkpoint_.Put("scales", DType::kI16, {2, kOut}, scales);
  EXPECT_ERROR(checkpoint_.Open(), "up_proj.scales\" has type I16, expected a float type");
  checkpoint_.Remove("scales");
  EXPECT_ERROR(checkpoint_.Open(), "up_proj.scales\" is missing");
}

TEST_F(GptqMistakes, AConfigThatNoTensorIsOf) {
  ForeignCheckpoint dense;
  WriteJsonFile(dense.Write() / "quantize_config.json", config());
  EXPECT_FALSE(Checkpoint::Open(dense.directory()).translation());
  dense.config["quantization_config"] = config();
  EXPECT_ERROR(dense.Open(), "says that the model is quantized (gptq), and none of its tensors is");
}

TEST_F(GptqMistakes, BiasesOfZerosAreNoTensorsOfTheModel) {
  checkpoint_.Put("bias", DType::kF16, {kOut}, std::vector<uint16_t>(kOut));
  EXPECT_FALSE(checkpoint_.Open().Has(ForeignCheckpoint::Name("bias")));
  checkpoint_.Put("bias", DType::kF16, {kOut}, std::vector<uint16_t>(kOut, 1));
  EXPECT_ERROR(checkpoint_.Open(), "is a bias that a model of this config.json does not have");
}

TEST_F(GptqMistakes, ModulesThatDifferAreReadAsTheirEntrySays) {
  config()["bits"] = 8;
  config()["group_size"] = 128;
  config()["dynamic"] = {{"-:.*down_proj", Json::object()}, {"+:.*up_proj", {{"bits", 4}, {"group_size", 32}}}};
  EXPECT_TRUE(Near(ForeignCheckpoint::Weights(checkpoint_.Open()), known_.Expected(), Exact()));
}

TEST_F(GptqMistakes, TheConfigMayLieBesideConfigJson) {
  const Json quantization = config();
  checkpoint_.config.erase("quantization_config");
  const auto& directory = checkpoint_.Write();
  EXPECT_ERROR(Checkpoint::Open(directory), "up_proj.weight\" [96, 64] is missing");
  WriteJsonFile(directory / "quantize_config.json", quantization);
  EXPECT_TRUE(Near(ForeignCheckpoint::Weights(Checkpoint::Open(directory)), known_.Expected(), Exact()));
}

TEST_F(GptqMistakes, AutoRoundsFormIsReadAsItsPackingSays) {
  Json json = {{"quant_method", "auto-round"},
               {"bits", 4},
               {"group_size", 32},
               {"sym", true},
               {"iters", 200},
               {"data_type", "int"},
               {"autoround_version", "0.8"},
               {"packing_format", "auto_round:auto_gptq"}};
  checkpoint_.config["quantization_config"] = json;
  EXPECT_TRUE(Near(ForeignCheckpoint::Weights(checkpoint_.Open()), known_.Expected(), Exact()));
  json["extra_config"] = {{ForeignCheckpoint::kModule, {{"bits", 4}, {"group_size", 32}}}};
  json["group_size"] = 128;
  checkpoint_.config["quantization_config"] = json;
  EXPECT_TRUE(Near(ForeignCheckpoint::Weights(checkpoint_.Open()), known_.Expected(), Exact()));
  json["packing_format"] = "auto_round:marlin";
  checkpoint_.config["quantization_config"] = json;
  EXPECT_ERROR(checkpoint_.Open(), "packing_format: \"auto_round:marlin\" is not supported");
  // As "auto_round" the zero points are stored as they are.
  PutGptq(checkpoint_, known_, false);
  json["packing_format"] = "auto_round";
  checkpoint_.config["quantization_config"] = json;
  EXPECT_TRUE(Near(ForeignCheckpoint::Weights(checkpoint_.Open()), known_.Expected(), Exact()));
}

constexpr std::array kAwqOrder = {0, 2, 4, 6, 1, 3, 5, 7};

// rows of `columns` fields each, eight in a word.
std::vector<uint32_t> AwqWords(int64_t rows, int64_t columns, const std::function<int(int64_t, int64_t)>& field) {
  std::vector<uint32_t> words;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t first = 0; first < columns; first += 8) {
      uint32_t word = 0;
      for (int64_t p = 0; p < 8; ++p)
        word |= static_cast<uint32_t>(field(row, first + kAwqOrder[static_cast<size_t>(p)])) << 4 * p;
      words.push_back(word);
    }
  return words;
}

void PutAwq(ForeignCheckpoint& checkpoint, const KnownGroups& known) {
  checkpoint.Remove("weight");
  checkpoint.Put("qweight", DType::kI32, {kIn, kOut / 8},
                 AwqWords(kIn, kOut, [&](int64_t input, int64_t row) { return known.Code(row, input); }));
  checkpoint.Put("qzeros", DType::kI32, {known.Groups(), kOut / 8},
                 AwqWords(known.Groups(), kOut, [&](int64_t group, int64_t row) { return known.Zero(row, group); }));
  checkpoint.Put("scales", DType::kF16, {known.Groups(), kOut}, known.TransposedScales());
}

TEST(Awq, TheOrderOfTheFieldsOfAWord) {
  EXPECT_EQ(AwqWords(1, 8, [](int64_t, int64_t column) { return static_cast<int>(column); }),
            std::vector<uint32_t>{0x75316420});
}

TEST(Awq, ComesBackWithTheSameCodes) {
  for (const bool zero_point : {true, false}) {
    const KnownGroups known(4, 32, !zero_point);
    ForeignCheckpoint checkpoint;
    PutAwq(checkpoint, known);
    checkpoint.config["quantization_config"] = {{"quant_method", "awq"}, {"bits", 4},
                                                {"group_size", 32},      {"zero_point", zero_point},
                                                {"version", "GEMM"},     {"modules_to_not_convert", {"lm_head"}}};
    const Checkpoint opened = checkpoint.Open();
    EXPECT_EQ(ForeignCheckpoint::Spec(opened).format, (PackedFormat{4, 32, !zero_point}));
    EXPECT_TRUE(Near(ForeignCheckpoint::Weights(opened), known.Expected(), Exact()));
    if (zero_point) continue;
    checkpoint.Remove("qzeros");
    EXPECT_TRUE(Near(ForeignCheckpoint::Weights(checkpoint.Open()), known.Expected(), Exact()));
  }
}

TEST(Awq, MistakesAndOtherVersionsAreNamed) {
  const KnownGroups known(4, 32, false);
  ForeignCheckpoint checkpoint;
  PutAwq(checkpoint, known);
  Json& json = checkpoint.config["quantization_config"];
  json = {{"quant_method", "awq"}, {"bits", 4}, {"group_size", 32}, {"version", "gemv"}};
  EXPECT_ERROR(checkpoint.Open(), "version: \"gemv\" is not supported; expected \"gemm\"");
  json["version"] = "gemm";
  json["zero_point"] = false;
  const Checkpoint asymmetric = checkpoint.Open();
  EXPECT_ERROR(ForeignCheckpoint::Weights(asymmetric), "its quantization_config says symmetric");
  json["zero_point"] = true;
  json["group_size"] = 64;
  EXPECT_ERROR(checkpoint.Open(), "up_proj.qzeros\" has shape [2, 12], its quantization_config needs [1, 12]");
  json["bits"] = 8;
  EXPECT_ERROR(checkpoint.Open(), "bits: expected 4, found 8");
}

}  // namespace
}  // namespace ecld
