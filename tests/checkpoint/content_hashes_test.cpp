#include "checkpoint/content_hashes.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

class ContentHashesTest : public testing::Test {
 protected:
  ContentHashes Of(const char* name, const TinyOptions& options) const {
    WriteTinyCheckpoint(dir_ / name, options);
    return HashContents(Checkpoint::Open(dir_ / name));
  }

  TempDir dir_;
};

std::vector<std::string> Differing(const std::vector<ContentHash>& a, const std::vector<ContentHash>& b) {
  std::vector<std::string> names;
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i].sha256 != b[i].sha256) names.push_back(a[i].name);
  return names;
}

TEST_F(ContentHashesTest, TheSameBytesHaveTheSameHashAndAllAreCounted) {
  for (const bool tied : {true, false}) {
    const ContentHashes once = Of("a", {.tied = tied}), again = Of("b", {.tied = tied});
    EXPECT_TRUE(Differing(once.blocks, again.blocks).empty());
    EXPECT_TRUE(Differing(once.tensors, again.tensors).empty());
    ASSERT_EQ(once.blocks.size(), 4u);
    EXPECT_EQ(once.blocks[0].name, "embedding");
    EXPECT_EQ(once.blocks[2].name, "layers.1");
    EXPECT_EQ(once.blocks[3].name, "head");
    uint64_t bytes = 0;
    for (const ContentHash& block : once.blocks) bytes += block.bytes;
    EXPECT_EQ(bytes, Checkpoint::Open(dir_ / "a").WeightBytes());
    std::filesystem::remove_all(dir_ / "a");
    std::filesystem::remove_all(dir_ / "b");
  }
}

TEST_F(ContentHashesTest, AByteMoreOrLessIsAnotherHashOfItsBlockAlone) {
  const ContentHashes before = Of("a", {});
  const std::string changed = "model.layers.1.mlp.up_proj.weight";
  const auto shards = Checkpoint::Open(dir_ / "a").shards();
  for (const auto& shard : shards) {
    const auto found = shard->tensors().find(changed);
    if (found == shard->tensors().end()) continue;
    const std::byte* file = shard->tensors().begin()->second.bytes.data();
    for (const auto& [name, view] : shard->tensors()) file = std::min(file, view.bytes.data());
    uint64_t header = 0;
    std::ifstream(shard->path(), std::ios::binary).read(reinterpret_cast<char*>(&header), 8);
    std::fstream stream(shard->path(), std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(static_cast<std::streamoff>(8 + header) + (found->second.bytes.data() - file));
    stream.put(static_cast<char>(std::to_integer<int>(found->second.bytes[0]) ^ 1));
  }
  const ContentHashes after = HashContents(Checkpoint::Open(dir_ / "a"));
  EXPECT_EQ(Differing(before.tensors, after.tensors), std::vector<std::string>{changed});
  EXPECT_EQ(Differing(before.blocks, after.blocks), std::vector<std::string>{"layers.1"});
}

TEST_F(ContentHashesTest, AnotherDtypeIsAnotherHash) {
  const ContentHashes f32 = Of("a", {}), bf16 = Of("b", {.dtype = DType::kBF16});
  EXPECT_EQ(Differing(f32.blocks, bf16.blocks).size(), f32.blocks.size());
  EXPECT_EQ(f32.blocks[0].bytes, 2 * bf16.blocks[0].bytes);
}

}  // namespace
}  // namespace ecld
