#include "checkpoint/export/export.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "checkpoint/export/format_export.h"
#include "core/files.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/packed_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

QuantizationConfig Linears(const PackedFormat& format, std::vector<std::string> ignore = {"lm_head"}) {
  return {.groups = {{.name = "group_0", .targets = {"Linear"}, .format = format}}, .ignore = std::move(ignore)};
}

class ExportTest : public testing::Test {
 protected:
  ExportPlan ExportTo(ExportTarget target) {
    return Export({.checkpoint = dir_ / "m", .target = target, .out = dir_ / "out", .overwrite = true});
  }
  void Write(const QuantizationConfig& quantization, const TinyOptions& options = {.dtype = DType::kBF16}) {
    fs::remove_all(dir_ / "m");
    WritePackedCheckpoint(dir_ / "m", quantization, options);
  }

  TempDir dir_;
};

// A matrix of an exported GPTQ checkpoint, read by the definition of the format, bit by bit.
std::vector<float> GptqValues(const SafetensorsFile& file, const std::string& module, int bits) {
  auto tensor = [&](const char* part) { return file.tensors().find(module + part)->second; };
  const TensorView qweight = tensor(".qweight"), qzeros = tensor(".qzeros"), scales = tensor(".scales"),
                   g_idx = tensor(".g_idx");
  auto word = [](const TensorView& view, int64_t row, int64_t column) {
    uint32_t value;
    std::memcpy(&value, view.bytes.data() + (row * view.shape[1] + column) * 4, 4);
    return value;
  };
  const int64_t in = g_idx.shape[0], out = qweight.shape[1];
  std::vector<float> values;
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t i = 0; i < in; ++i) {
      int32_t group;
      std::memcpy(&group, g_idx.bytes.data() + i * 4, 4);
      int code = 0, zero = 0;
      for (int bit = 0; bit < bits; ++bit) {
        const int64_t c = i * bits + bit, z = o * bits + bit;
        code |= static_cast<int>((word(qweight, c / 32, o) >> (c % 32)) & 1u) << bit;
        zero |= static_cast<int>((word(qzeros, group, z / 32) >> (z % 32)) & 1u) << bit;
      }
      uint16_t scale;
      std::memcpy(&scale, scales.bytes.data() + (group * out + o) * 2, 2);
      values.push_back(HalfToFloat(scale) * static_cast<float>(code - zero - 1));
    }
  }
  return values;
}

TEST_F(ExportTest, GptqHoldsEveryWidth) {
  for (const PackedFormat& format :
       {PackedFormat{2, 32, true}, PackedFormat{3, 32, true}, PackedFormat{4, 16, true}, PackedFormat{8, 0, true}}) {
    Write(Linears(format), {.family = Family::kQwen2, .dtype = DType::kBF16, .tied = true});
    const ExportPlan plan = ExportTo(ExportTarget::kGptq);
    const Checkpoint in = Checkpoint::Open(dir_ / "m");
    const SafetensorsFile file(dir_ / "out/model.safetensors");
    EXPECT_EQ(fs::file_size(dir_ / "out/model.safetensors"), plan.output_B);
    for (const TensorSpec& spec : in.table()) {
      if (spec.format) {
        EXPECT_TRUE(Near(GptqValues(file, spec.module, format.bits), in.ReadFloats(spec), Exact())) << spec.name;
        EXPECT_FALSE(file.tensors().contains(spec.name));
      } else {
        EXPECT_EQ(file.tensors().at(spec.name).shape, spec.shape);
      }
    }
    const Json quantization = ReadJsonFile(dir_ / "out/config.json")["quantization_config"];
    EXPECT_EQ(quantization["quant_method"], "gptq");
    EXPECT_EQ(quantization["checkpoint_format"], "gptq");
    EXPECT_EQ(quantization["bits"], format.bits);
    EXPECT_EQ(quantization["group_size"], format.group_size ? format.group_size : -1);
    EXPECT_EQ(quantization, ReadJsonFile(dir_ / "out/quantize_config.json"));
    EXPECT_TRUE(fs::exists(dir_ / "out/tokenizer.json"));
  }
}

TEST_F(ExportTest, GptqStoresTheZeroPointLessOne) {
  Write(Linears({4, 32, true}));
  ExportTo(ExportTarget::kGptq);
  const SafetensorsFile file(dir_ / "out/model.safetensors");
  const TensorView& zeros = file.tensors().find("model.layers.1.mlp.up_proj.qzeros")->second;
  for (std::byte byte : zeros.bytes) EXPECT_EQ(byte, std::byte{0x77});
}

TEST_F(ExportTest, GptqPacksAnUntiedHead) {
  Write(Linears({4, 32, true}, {}), {.dtype = DType::kF16, .vocab_size = 320});
  ExportTo(ExportTarget::kGptq);
  EXPECT_EQ(ReadJsonFile(dir_ / "out/config.json")["quantization_config"]["lm_head"], true);
  const SafetensorsFile file(dir_ / "out/model.safetensors");
  const Checkpoint in = Checkpoint::Open(dir_ / "m");
  EXPECT_TRUE(Near(GptqValues(file, "lm_head", 4), in.ReadFloats(Find(in.table(), Role::kHead)), Exact()));
}

TEST_F(ExportTest, GptqRefusesByName) {
  auto expect = [&](const QuantizationConfig& quantization, const char* message,
                    const TinyOptions& options = {.dtype = DType::kBF16}) {
    Write(quantization, options);
    EXPECT_ERROR(ExportTo(ExportTarget::kGptq), message);
    EXPECT_FALSE(fs::exists(dir_ / "out"));
    EXPECT_FALSE(fs::exists(dir_ / "out.partial"));
  };
  const PackedFormat w4{4, 32, true};
  expect({.groups = {{.name = "a", .targets = {"Embedding", "Linear"}, .format = w4}}},
         "config.json: model.embed_tokens: is W4 g32 sym; GPTQ packs linears only, so a dense embedding would fit");
  expect(Linears({4, 32, false}), "model.layers.0.self_attn.q_proj: is W4 g32 asym; GPTQ version 1 holds zero points");
  expect(Linears({5, 32, true}), "model.layers.0.self_attn.q_proj: is W5 g32 sym; readers of GPTQ do not agree");
  expect(Linears({4, 64, true}), "model.layers.0.mlp.down_proj: is W4 g64 sym and has 96 inputs, a short last group");
  expect(Linears(w4), "model.layers.0.mlp.gate_proj: has 100 outputs and 64 inputs; GPTQ packs multiples of 32",
         {.dtype = DType::kBF16, .intermediate_size = 100});
  expect(Linears(w4, {"lm_head", "model.layers.1.self_attn.k_proj"}),
         "model.layers.1.self_attn.k_proj: is not packed, model.layers.0.self_attn.q_proj is; GPTQ packs all linears");
  expect({.groups = {{.name = "a", .targets = {"Linear"}, .format = w4},
                     {.name = "b", .targets = {"model.layers.1.mlp.up_proj"}, .format = {8, 32, true}}},
          .ignore = {"lm_head"}},
         "model.layers.1.mlp.up_proj: is W8 g32 sym, but model.layers.0.self_attn.q_proj is W4 g32 sym; GPTQ has one");
  expect(Linears(w4), "model.layers.0.self_attn.q_proj: the scale 0.0", {});  // F32 scales
}

TEST_F(ExportTest, CompressedTensorsIsTheSameFiles) {
  Write({.groups = {{.name = "a", .targets = {"Embedding", "Linear"}, .format = {4, 64, false}}}});
  WriteFileAtomically(dir_ / "m/report.json", "{}");
  WriteFileAtomically(dir_ / "m/diary.txt", "Dear");
  const ExportPlan plan = ExportTo(ExportTarget::kCompressedTensors);
  for (const char* name :
       {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "report.json"})
    EXPECT_EQ(ReadFile(dir_ / "m" / name), ReadFile(dir_ / "out" / name)) << name;
  EXPECT_FALSE(fs::exists(dir_ / "out/diary.txt"));
  EXPECT_GT(plan.output_B, Checkpoint::Open(dir_ / "m").WeightBytes());
}

TEST_F(ExportTest, RefusesWhatThereIsNothingToDoFor) {
  WriteTinyCheckpoint(dir_ / "m");
  EXPECT_ERROR(ExportTo(ExportTarget::kGptq), "m: holds no packed weights; other programs load it as it is");
  EXPECT_ERROR(ExportTo(ExportTarget::kCompressedTensors), "holds no packed weights");
  Write(Linears({.bits = 4, .group_size = 32, .symmetric = true}), {.dtype = DType::kBF16, .uneven = true});
  EXPECT_ERROR(ExportTo(ExportTarget::kCompressedTensors),
               "m: its layers differ in size, which no other program loads; prune with ratios: uniform");
}

TEST_F(ExportTest, KeepsWhatIsAtTheOutput) {
  Write(Linears({4, 32, true}));
  const fs::path out = dir_ / "out";
  auto run = [&](ExportTarget target, bool overwrite) {
    return Export({.checkpoint = dir_ / "m", .target = target, .out = out, .overwrite = overwrite});
  };
  run(ExportTarget::kGptq, false);
  EXPECT_ERROR(run(ExportTarget::kGptq, false), "out: exists; choose another output, or --overwrite to replace it");
  run(ExportTarget::kCompressedTensors, true);
  EXPECT_EQ(Checkpoint::Open(out).config().quantization->groups.size(), 1u);
  EXPECT_ERROR(run(ExportTarget::kGguf, true), "out: is not a file; it would be replaced by one");
  fs::remove_all(out);
  fs::create_directory(out);
  WriteFileAtomically(out / "letter.txt", "Dear");
  EXPECT_ERROR(run(ExportTarget::kGptq, true), "exists and is no checkpoint");
  EXPECT_ERROR(Export({.checkpoint = dir_ / "m", .target = ExportTarget::kGptq, .out = dir_ / "m/x"}),
               "output lies inside the input directory");
}

TEST_F(ExportTest, RefusesAnOutputInUse) {
  Write(Linears({4, 32, true}));
  const DirectoryLock lock(dir_ / "out");
  EXPECT_ERROR(ExportTo(ExportTarget::kGptq), "out: is in use by another run");
}

TEST_F(ExportTest, VerifyingFindsAFlippedBit) {
  Write(Linears({3, 32, true}));
  const Checkpoint in = Checkpoint::Open(dir_ / "m");
  for (const auto& [format, message] :
       {std::pair{MakeGptqExport(in).release(), "was written wrongly: "},
        std::pair{MakeCompressedTensorsExport(in).release(), "was written wrongly: it is not what"}}) {
    const std::unique_ptr<FormatExport> owned(format);
    for (size_t from_end : {size_t{1}, size_t{9000}}) {
      fs::remove_all(dir_ / "staged");
      fs::create_directory(dir_ / "staged");
      owned->Write(dir_ / "staged");
      owned->Verify(dir_ / "staged");
      const fs::path path = dir_ / "staged/model.safetensors";
      std::string bytes = ReadFile(path);
      bytes[bytes.size() - from_end] ^= 0x04;
      std::ofstream(path, std::ios::binary) << bytes;
      EXPECT_ERROR(owned->Verify(dir_ / "staged"), message);
    }
  }
}

}  // namespace
}  // namespace ecld
