// How a model reads its weights: packed ones equal their dequantized values, damaged ones are found.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "checkpoint/checkpoint_writer.h"
#include "tests/runtime/tiny_model.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/packed_checkpoint.h"

namespace ecld {
namespace {

using Parameters = std::function<std::vector<float>(const TensorSpec&)>;

void WriteDense(const std::filesystem::path& directory, ModelConfig config, const Parameters& values) {
  config.quantization.reset();
  CheckpointWriter writer(directory, config);
  for (const TensorSpec& spec : writer.table()) writer.WriteFloats(spec, values(spec));
  writer.Finish(directory);
}

class PackedModel : public testing::TestWithParam<PackedFormat> {};

TEST_P(PackedModel, GivesTheLogitsOfItsDequantizedWeights) {
  TempDir packed_dir, dense_dir;
  const ModelConfig config = WritePackedCheckpoint(packed_dir.path(), GetParam(), {.tied = true});
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
