// Verification reads every byte of a written checkpoint: what is flipped is found, and named.

#include "recipes/verify.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <limits>

#include "checkpoint/checkpoint_writer.h"
#include "core/json.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

// Overwrites bytes of a stored tensor in its file.
void Poke(const std::filesystem::path& directory, const std::string& name, size_t offset, const void* bytes,
          size_t count) {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ".safetensors") continue;
    const SafetensorsFile file(entry.path());
    auto found = file.tensors().find(name);
    if (found == file.tensors().end()) continue;
    const MappedFile whole(entry.path());
    uint64_t header = 0;
    std::memcpy(&header, whole.bytes().data(), sizeof(header));
    const std::string text(reinterpret_cast<const char*>(whole.bytes().data()) + 8, header);
    const uint64_t begin = ParseJson(text, "header")[name]["data_offsets"][0];
    std::fstream stream(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(static_cast<std::streamoff>(8 + header + begin + offset));
    stream.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(count));
    return;
  }
  FAIL() << name << " is in no shard";
}

class Verify : public testing::Test {
 protected:
  // A checkpoint whose projections are packed in this format, with codes of zero and scales of one.
  ModelConfig WritePacked(const PackedFormat& format) {
    ModelConfig config = WriteTinyCheckpoint(
        dir_ / "dense", {.hidden_size = 36, .intermediate_size = 40, .num_heads = 2, .num_kv_heads = 1});
    config.quantization = QuantizationConfig{{{"group_0", {"Linear"}, format}}, {"lm_head"}};
    const Checkpoint dense = Checkpoint::Open(dir_ / "dense");
    CheckpointWriter out(dir_ / "packed", config);
    for (const TensorSpec& spec : out.table()) {
      if (!spec.format) {
        out.CopyFrom(dense, spec);
        continue;
      }
      for (const StoredTensor& part : StoredForm(spec, config)) {
        std::vector<std::byte> bytes(part.Bytes());
        if (part.name.ends_with("weight_scale")) {
          std::vector<float> ones(bytes.size() / SizeOf(part.dtype), 1.0f);
          FromFloat(part.dtype, ones.data(), ones.size(), bytes.data());
        }
        if (part.name.ends_with("weight_shape")) std::memcpy(bytes.data(), spec.shape.data(), 16);
        out.Write(part.name, bytes);
      }
    }
    out.Finish(dir_ / "dense");
    return config;
  }

  TempDir dir_;
};

TEST_F(Verify, AcceptsWhatIsAsPlanned) {
  ModelConfig config = WriteTinyCheckpoint(dir_ / "model");
  EXPECT_EQ(VerifyStage(dir_ / "model", config).bytes, WeightFileBytes(config));
  for (bool symmetric : {true, false}) {
    ModelConfig packed = WritePacked({.bits = 3, .group_size = 8, .symmetric = symmetric});
    EXPECT_EQ(VerifyStage(dir_ / "packed", packed).bytes, WeightFileBytes(packed));
    std::filesystem::remove_all(dir_ / "packed");
    std::filesystem::remove_all(dir_ / "dense");
  }
}

TEST_F(Verify, FindsValuesThatAreNotFinite) {
  ModelConfig config = WriteTinyCheckpoint(dir_ / "model");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Poke(dir_ / "model", "model.layers.1.mlp.down_proj.weight", 4 * 17, &nan, sizeof(nan));
  EXPECT_ERROR(VerifyStage(dir_ / "model", config),
               "tensor \"model.layers.1.mlp.down_proj.weight\" holds nan at element 17");
  EXPECT_ERROR(VerifyValues(Checkpoint::Open(dir_ / "model")), "holds nan at element 17");
}

TEST_F(Verify, FindsBadScales) {
  ModelConfig config = WritePacked({.bits = 4, .group_size = 8, .symmetric = true});
  const std::string name = "model.layers.0.self_attn.q_proj.weight_scale";
  const float negative = -1, infinite = std::numeric_limits<float>::infinity();
  Poke(dir_ / "packed", name, 8, &negative, sizeof(negative));
  EXPECT_ERROR(VerifyStage(dir_ / "packed", config), "\"" + name + "\" holds -1 at element 2; scales are finite");
  Poke(dir_ / "packed", name, 8, &infinite, sizeof(infinite));
  EXPECT_ERROR(VerifyStage(dir_ / "packed", config), "\"" + name + "\" holds inf at element 2");
}

TEST_F(Verify, FindsBitsBehindTheEnd) {
  // 36 codes of 3 bits are 108 bits: 12 of the fourth word are used.
  ModelConfig config = WritePacked({.bits = 3, .group_size = 8, .symmetric = false});
  const uint32_t last_used = 1u << 11, first_unused = 1u << 12;
  const std::string codes = "model.layers.0.mlp.up_proj.weight_packed";
  Poke(dir_ / "packed", codes, (4 * 5 + 3) * 4, &last_used, 4);
  VerifyStage(dir_ / "packed", config);
  Poke(dir_ / "packed", codes, (4 * 5 + 3) * 4, &first_unused, 4);
  EXPECT_ERROR(VerifyStage(dir_ / "packed", config), "\"" + codes + "\" has bits set behind the end of row 5");

  Poke(dir_ / "packed", codes, (4 * 5 + 3) * 4, &last_used, 4);
  // 40 rows of 3 bits are 120 bits: 24 of the fourth word are used; 36 inputs in groups of 8 are 5 columns.
  const uint32_t behind = 1u << 24;
  const std::string zeros = "model.layers.0.mlp.up_proj.weight_zero_point";
  Poke(dir_ / "packed", zeros, (3 * 5 + 2) * 4, &behind, 4);
  EXPECT_ERROR(VerifyStage(dir_ / "packed", config), "\"" + zeros + "\" has bits set behind the end of column 2");
}

TEST_F(Verify, FindsWhatWasNotPlanned) {
  ModelConfig config = WriteTinyCheckpoint(dir_ / "model");
  ModelConfig narrower = config;
  narrower.intermediate_size = 64;
  EXPECT_ERROR(VerifyStage(dir_ / "model", narrower), "config.json: differs from the plan");
  ModelConfig tied = config;
  tied.tie_embeddings = true;
  EXPECT_ERROR(VerifyStage(dir_ / "model", tied), "config.json: differs from the plan");
  std::filesystem::remove(dir_ / "model" / "config.json");
  EXPECT_ERROR(VerifyStage(dir_ / "model", config), "config.json");
}

}  // namespace
}  // namespace ecld
