// How a model reads its weights: packed ones equal their dequantized values, damaged ones are found.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "checkpoint/checkpoint_writer.h"
#include "core/random.h"
#include "kernels/packing/packing.h"
#include "tests/runtime/tiny_model.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

using Parameters = std::function<std::vector<float>(const TensorSpec&)>;

void WriteDense(const std::filesystem::path& directory, ModelConfig config, const Parameters& values) {
  config.quantization.reset();
  CheckpointWriter writer(directory, config);
  for (const TensorSpec& spec : writer.table()) writer.WriteFloats(spec, values(spec));
  writer.Finish(directory);
}

// Random codes, scales near 0.02, and, where the format is asymmetric, random zero points.
void WriteRandomPacked(CheckpointWriter& writer, const TensorSpec& spec, Random& random) {
  for (const StoredTensor& part : StoredForm(spec, writer.config())) {
    std::vector<std::byte> bytes(part.Bytes());
    if (part.name.ends_with(".weight_shape")) {
      std::memcpy(bytes.data(), spec.shape.data(), bytes.size());
    } else if (part.name.ends_with(".weight_scale")) {
      std::vector<float> scales(bytes.size() / SizeOf(part.dtype));
      for (float& scale : scales) scale = static_cast<float>(0.02 + 0.01 * random.Uniform());
      FromFloat(part.dtype, scales.data(), scales.size(), bytes.data());
    } else {
      for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.Next());
    }
    writer.Write(part.name, bytes);
  }
}

class PackedModel : public testing::TestWithParam<PackedFormat> {};

TEST_P(PackedModel, GivesTheLogitsOfItsDequantizedWeights) {
  TempDir source_dir, packed_dir, dense_dir;
  ModelConfig config = WriteTinyCheckpoint(source_dir.path(), {.tied = true});
  const Checkpoint source = Checkpoint::Open(source_dir.path());
  config.quantization = QuantizationConfig{
      .groups = {{.name = "group_0", .targets = {"Linear", "Embedding"}, .format = GetParam()}}, .ignore = {}};
  {
    CheckpointWriter writer(packed_dir.path(), config);
    Random random(3);
    for (const TensorSpec& spec : writer.table()) {
      if (spec.format) {
        WriteRandomPacked(writer, spec, random);
      } else {
        writer.WriteFloats(spec, source.ReadFloats(Find(source.table(), spec.role, spec.layer, spec.bias)));
      }
    }
    writer.Finish(source_dir.path());
  }
  const Checkpoint packed = Checkpoint::Open(packed_dir.path());
  WriteDense(dense_dir.path(), config, [&](const TensorSpec& spec) {
    return packed.ReadFloats(Find(packed.table(), spec.role, spec.layer, spec.bias));
  });

  ThreadPool pool(2);
  std::vector<std::vector<float>> logits;
  for (const TempDir* dir : {&packed_dir, &dense_dir}) {
    const RuntimeModel model(Checkpoint::Open(dir->path()));
    EXPECT_EQ(model.head().packed(), dir == &packed_dir);
    Session session(model, pool);
    KvCache cache(model);
    logits.push_back(RunTokens(session, cache, SomeTokens(25)));
  }
  EXPECT_TRUE(Near(logits[0], logits[1], Relative(1e-5)));
}

INSTANTIATE_TEST_SUITE_P(Formats, PackedModel,
                         testing::Values(PackedFormat{.bits = 2, .group_size = 32, .symmetric = false},
                                         PackedFormat{.bits = 3, .group_size = 64, .symmetric = true},
                                         PackedFormat{.bits = 4, .group_size = 128, .symmetric = false},
                                         PackedFormat{.bits = 8, .group_size = 0, .symmetric = true}),
                         [](const auto& format) { return "W" + std::to_string(format.param.bits); });

void CorruptOne(const std::filesystem::path& directory, Role role, float value) {
  TempDir source_dir;
  const ModelConfig config = WriteTinyCheckpoint(source_dir.path());
  const Checkpoint source = Checkpoint::Open(source_dir.path());
  CheckpointWriter writer(directory, config);
  for (const TensorSpec& spec : writer.table()) {
    std::vector<float> values = source.ReadFloats(spec);
    if (spec.role == role && spec.layer <= 0) values[5] = value;
    // Written as bytes: the writer refuses NaN in floats.
    writer.Write(spec.name, std::as_bytes(std::span(values)));
  }
  writer.Finish(source_dir.path());
}

TEST(DamagedWeights, NanInANormIsFoundWhenTheModelIsOpened) {
  TempDir dir;
  CorruptOne(dir.path(), Role::kInputNorm, NAN);
  EXPECT_ERROR(RuntimeModel(Checkpoint::Open(dir.path())), "model.layers.0.input_layernorm.weight");
}

TEST(DamagedWeights, NanOrInfinityInAMatrixIsFoundInTheLogits) {
  for (float value : {NAN, INFINITY}) {
    TempDir dir;
    CorruptOne(dir.path(), Role::kUp, value);
    const RuntimeModel model(Checkpoint::Open(dir.path()));
    ThreadPool pool(1);
    Session session(model, pool);
    KvCache cache(model);
    EXPECT_ERROR(RunTokens(session, cache, SomeTokens(3)), "its weights are damaged or overflow float32");
  }
}

}  // namespace
}  // namespace ecld
