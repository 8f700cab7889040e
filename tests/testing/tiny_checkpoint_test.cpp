#include "tests/testing/tiny_checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/files.h"
#include "tests/testing/near.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

class TinyCheckpoint : public testing::TestWithParam<Family> {};

TEST_P(TinyCheckpoint, OpensAndHasTheRealLayout) {
  TempDir dir;
  const ModelConfig config = WriteTinyCheckpoint(dir.path(), {.family = GetParam()});
  for (const char* file : {"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                           "model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json"})
    EXPECT_TRUE(std::filesystem::exists(dir / file)) << file;
  const Checkpoint checkpoint = Checkpoint::Open(dir.path());
  EXPECT_EQ(checkpoint.config().family, GetParam());
  EXPECT_EQ(checkpoint.WeightBytes(), WeightFileBytes(config));
}

INSTANTIATE_TEST_SUITE_P(Families, TinyCheckpoint, testing::ValuesIn(kEveryFamily),
                         [](const auto& family) { return std::string(Name(family.param)); });

TEST(TinyOptions, AreHonoured) {
  TempDir dir;
  const ModelConfig config = WriteTinyCheckpoint(dir.path(), {.family = Family::kMistral,
                                                              .dtype = DType::kBF16,
                                                              .tied = true,
                                                              .rope_scaling = RopeScaling::Kind::kLinear,
                                                              .rope_parameters = true,
                                                              .sliding_window = 8,
                                                              .head_dim = 24});
  const Checkpoint checkpoint = Checkpoint::Open(dir.path());
  EXPECT_EQ(checkpoint.config().sliding_window, std::vector<int64_t>(2, 8));
  EXPECT_EQ(checkpoint.config().head_dim, 24);
  EXPECT_EQ(checkpoint.config().rope_scaling.kind, RopeScaling::Kind::kLinear);
  EXPECT_EQ(checkpoint.Tensor("model.embed_tokens.weight").dtype, DType::kBF16);
  EXPECT_FALSE(checkpoint.Has("lm_head.weight"));
  EXPECT_EQ(config.QueryWidth(), 96);
}

TEST(TinyOptions, TheSeedDecidesTheBytes) {
  TempDir one, same, other;
  WriteTinyCheckpoint(one.path());
  WriteTinyCheckpoint(same.path());
  WriteTinyCheckpoint(other.path(), {.seed = 2});
  const std::string shard = "model-00001-of-00002.safetensors";
  EXPECT_EQ(ReadFile(one / shard), ReadFile(same / shard));
  EXPECT_NE(ReadFile(one / shard), ReadFile(other / shard));
}

TEST(TinyOptions, NormsAndBiasesAreNotTrivial) {
  TempDir dir;
  WriteTinyCheckpoint(dir.path(), {.bias = true});
  const Checkpoint checkpoint = Checkpoint::Open(dir.path());
  const std::vector<float> ones(64, 1.f), zeros(64, 0.f);
  EXPECT_FALSE(Near(checkpoint.ReadFloats(Find(checkpoint.table(), Role::kInputNorm, 0)), ones, {.max_abs = 0.1}));
  EXPECT_FALSE(Near(checkpoint.ReadFloats(Find(checkpoint.table(), Role::kOutput, 1, true)), zeros, {.max_abs = 0.05}));
}

}  // namespace
}  // namespace ecld
