#include "checkpoint/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>
#include <fstream>

#include "checkpoint/checkpoint_writer.h"
#include "core/files.h"
#include "core/random.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

ModelConfig Tiny(bool tied = false) {
  return ParseConfig(ParseJson(fmt::format(R"({{"model_type": "llama", "vocab_size": 40, "hidden_size": 16,
    "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "tie_word_embeddings": {}, "torch_dtype": "float32"}})",
                                           tied),
                               "tiny"),
                     "tiny");
}

std::vector<float> Values(const TensorSpec& spec) {
  Random random(std::hash<std::string>{}(spec.name));
  std::vector<float> values(static_cast<size_t>(spec.Elements()));
  for (float& value : values) value = static_cast<float>(random.Normal());
  return values;
}

void WriteAll(CheckpointWriter& writer) {
  for (const auto& spec : writer.table()) writer.WriteFloats(spec, Values(spec));
}

void WriteCheckpoint(const fs::path& directory, const ModelConfig& config, uint64_t shard_bytes) {
  CheckpointWriter writer(directory, config, shard_bytes);
  WriteAll(writer);
  writer.Finish(directory);
}

void Replace(const fs::path& file, const std::string& from, const std::string& to) {
  std::string text = ReadFile(file);
  size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  WriteFileAtomically(file, text.replace(at, from.size(), to));
}

TEST(CheckpointFiles, WhatIsWrittenIsRead) {
  for (uint64_t shard_bytes : {uint64_t{4000}, ShardWriter::kShardBytes}) {
    TempDir dir;
    WriteCheckpoint(dir / "m", Tiny(), shard_bytes);
    EXPECT_EQ(fs::exists(dir / "m/model.safetensors.index.json"), shard_bytes == 4000);
    EXPECT_FALSE(fs::exists(dir / "m/written.journal"));
    Checkpoint checkpoint = Checkpoint::Open(dir / "m");
    for (const auto& spec : checkpoint.table())
      EXPECT_TRUE(Near(checkpoint.ReadFloats(spec), Values(spec), Exact())) << spec.name;
    EXPECT_EQ(checkpoint.WeightBytes(), WeightFileBytes(Tiny()));
  }
}

TEST(CheckpointFiles, NarrowTypesAreRoundedAndOverflowRefused) {
  TempDir dir;
  ModelConfig config = Tiny();
  config.dtype = DType::kF16;
  CheckpointWriter writer(dir / "m", config);
  const auto& norm = Find(writer.table(), Role::kFinalNorm);
  std::vector<float> values(16, 1.0f);
  values[3] = 1e6f;
  EXPECT_ERROR(writer.WriteFloats(norm, values),
               "model.norm.weight: value 1000000 at element 3 cannot be stored as F16");
  values[3] = NAN;
  EXPECT_ERROR(writer.WriteFloats(norm, values), "value nan at element 3");
}

TEST(CheckpointFiles, TiedMatrixUnderEitherName) {
  TempDir dir;
  WriteCheckpoint(dir / "m", Tiny(true), ShardWriter::kShardBytes);
  Checkpoint original = Checkpoint::Open(dir / "m");
  const auto embedding = original.ReadFloats(Find(original.table(), Role::kEmbedding));
  EXPECT_EQ(original.Head().data, original.Weight(Find(original.table(), Role::kEmbedding)).data);
  // The other name is shorter; the header keeps its length with spaces.
  Replace(dir / "m/model.safetensors", "\"model.embed_tokens.weight\":", std::string(11, ' ') + "\"lm_head.weight\":");
  Checkpoint renamed = Checkpoint::Open(dir / "m");
  EXPECT_TRUE(Near(renamed.ReadFloats(Find(renamed.table(), Role::kEmbedding)), embedding, Exact()));
}

TEST(CheckpointFiles, MistakesAreNamed) {
  TempDir dir;
  EXPECT_ERROR(Checkpoint::Open(dir / "absent"), "is not a checkpoint directory");
  EXPECT_ERROR(Checkpoint::Open(dir.path()), "config.json: cannot open");
  WriteCheckpoint(dir / "m", Tiny(), 4000);
  auto index = dir / "m/model.safetensors.index.json";
  std::string index_text = ReadTextFile(index);

  fs::path shard;
  for (const auto& entry : fs::directory_iterator(dir / "m"))
    if (entry.path().filename().string().starts_with("model-00002")) shard = entry.path();
  fs::rename(shard, dir / "aside");
  EXPECT_ERROR(Checkpoint::Open(dir / "m"), shard.string() + ": shard is missing (named by");
  fs::rename(dir / "aside", shard);

  Replace(index, "\"model.norm.weight\"", "\"model.nrom.weight\"");
  EXPECT_ERROR(Checkpoint::Open(dir / "m"), "tensor \"model.nrom.weight\" is missing (promised by");
  WriteFileAtomically(index, index_text);
  Replace(index, "model-00001-of", "../00001-of");
  EXPECT_ERROR(Checkpoint::Open(dir / "m"), "is not a file name inside the checkpoint");
  WriteFileAtomically(index, index_text);

  Replace(dir / "m/config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3");
  EXPECT_ERROR(Checkpoint::Open(dir / "m"), "tensor \"model.layers.2.input_layernorm.weight\" [16] is missing");
  Replace(dir / "m/config.json", "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 2");
  Replace(dir / "m/config.json", "\"intermediate_size\": 24", "\"intermediate_size\": 32");
  EXPECT_ERROR(Checkpoint::Open(dir / "m"),
               "tensor \"model.layers.0.mlp.gate_proj.weight\" has shape [24, 16], config.json needs [32, 16]");
}

TEST(CheckpointFiles, NaNWeightsAreRefusedWhenRead) {
  TempDir dir;
  WriteCheckpoint(dir / "m", Tiny(), ShardWriter::kShardBytes);
  {
    std::fstream file(dir / "m/model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
    float nan = NAN;
    file.seekp(-4, std::ios::end);
    file.write(reinterpret_cast<char*>(&nan), 4);
  }
  Checkpoint checkpoint = Checkpoint::Open(dir / "m");
  EXPECT_ERROR(checkpoint.ReadFloats(Find(checkpoint.table(), Role::kHead)),
               "tensor \"lm_head.weight\" holds nan at element 639");
}

TEST(CheckpointWriting, ResumesWhereItWasCommitted) {
  TempDir dir;
  WriteCheckpoint(dir / "whole", Tiny(), 4000);
  {
    CheckpointWriter writer(dir / "m", Tiny(), 4000);
    for (const auto& spec : writer.table())
      if (spec.layer == 0) writer.WriteFloats(spec, Values(spec));
    EXPECT_TRUE(writer.LayerWritten(0));
    writer.Commit(true);
    // Written but never committed: a resumed run must not count it.
    for (const auto& spec : writer.table())
      if (spec.layer == 1) writer.WriteFloats(spec, Values(spec));
  }
  // What a kill in the middle of a journal line leaves behind.
  std::ofstream(dir / "m/written.journal", std::ios::app) << "model.norm.wei";
  CheckpointWriter writer(dir / "m", Tiny(), 4000);
  EXPECT_TRUE(writer.LayerWritten(0));
  EXPECT_FALSE(writer.LayerWritten(1));
  EXPECT_FALSE(writer.LayerWritten(-1));
  Checkpoint view = writer.View();
  const auto& query = Find(view.table(), Role::kQuery, 0);
  EXPECT_TRUE(Near(view.ReadFloats(query), Values(query), Exact()));
  for (const auto& spec : writer.table())
    if (spec.layer != 0) writer.WriteFloats(spec, Values(spec));
  writer.Commit(true);
  // What is committed behind the broken line is found too.
  CheckpointWriter(dir / "m", Tiny(), 4000).Finish(dir.path());
  for (const auto& entry : fs::directory_iterator(dir / "whole"))
    EXPECT_EQ(ReadFile(entry.path()), ReadFile(dir / "m" / entry.path().filename().string())) << entry.path();
}

TEST(CheckpointWriting, AnotherConfigStartsOver) {
  TempDir dir;
  {
    CheckpointWriter writer(dir / "m", Tiny());
    WriteAll(writer);
    writer.Commit(true);
  }
  ModelConfig narrower = Tiny();
  narrower.intermediate_size = 16;
  CheckpointWriter writer(dir / "m", narrower);
  EXPECT_FALSE(writer.LayerWritten(0));
}

TEST(CheckpointWriting, MissingTensorIsFoundAtFinish) {
  TempDir dir;
  CheckpointWriter writer(dir / "m", Tiny());
  EXPECT_THROW(writer.Finish(dir.path()), std::logic_error);
}

TEST(CheckpointWriting, UnwritableAndTooLargeAreErrors) {
  TempDir dir;
  WriteFileAtomically(dir / "file", "");
  EXPECT_ERROR(CheckpointWriter(dir / "file/m", Tiny()), "cannot create");
  ModelConfig huge = Tiny();
  huge.intermediate_size = int64_t{1} << 30;
  EXPECT_ERROR(CheckpointWriter(dir / "m", huge), "disk full: the checkpoint needs");
}

TEST(CheckpointWriting, FileSizeLimitIsAnError) {
  TempDir dir;
  rlimit old_limit;
  ::getrlimit(RLIMIT_FSIZE, &old_limit);
  auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small{1000, old_limit.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_ERROR(CheckpointWriter(dir / "m", Tiny()), "cannot allocate");
  ::setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
}

TEST(CheckpointWriting, CopiesAndConvertsUnchangedParameters) {
  TempDir dir;
  WriteCheckpoint(dir / "in", Tiny(), ShardWriter::kShardBytes);
  Checkpoint source = Checkpoint::Open(dir / "in");
  ModelConfig config = Tiny();
  config.dtype = DType::kBF16;
  CheckpointWriter writer(dir / "out", config);
  for (const auto& spec : writer.table()) writer.CopyFrom(source, spec);
  writer.Finish(dir / "in");
  Checkpoint copy = Checkpoint::Open(dir / "out");
  for (const auto& spec : copy.table())
    EXPECT_TRUE(Near(copy.ReadFloats(spec), source.ReadFloats(spec), {.max_abs = 0.02})) << spec.name;
}

}  // namespace
}  // namespace ecld
