#include "runtime/tile_cache.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <thread>
#include <vector>

#include "core/files.h"
#include "kernels/packing/interleaved.h"
#include "tests/testing/near.h"
#include "tests/testing/packed_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr PackedFormat kFormat = {.bits = 4, .group_size = 32, .symmetric = false};

class TileCacheOf : public testing::Test {
 protected:
  TileCacheOf() { WritePackedCheckpoint(directory(), kFormat, {.tied = true}); }

  const fs::path& directory() const { return temp_.path(); }
  fs::path File() const { return TileCache::FileOf(directory()); }

  static std::vector<WeightView> Rows(const Checkpoint& checkpoint) {
    std::vector<WeightView> rows;
    for (const TensorSpec& spec : checkpoint.table())
      if (spec.format) rows.push_back(checkpoint.Weight(spec));
    return rows;
  }

  // Opens, and compares every matrix with its source. Returns whether the file served.
  bool OpensRight() const {
    const Checkpoint checkpoint = Checkpoint::Open(directory());
    const std::vector<WeightView> rows = Rows(checkpoint);
    const TileCache cache(checkpoint, rows, 2);
    for (size_t i = 0; i < rows.size(); ++i) {
      std::vector<float> expected(static_cast<size_t>(rows[i].in_features)), actual(expected.size());
      EXPECT_TRUE(cache.views()[i].interleaved);
      for (int64_t row = 0; row < rows[i].out_features; row += 7) {
        ReadRow(rows[i], row, expected.data());
        ReadRow(cache.views()[i], row, actual.data());
        EXPECT_TRUE(Near(actual, expected, Exact()));
      }
    }
    return cache.InFile();
  }

  void ChangeByte(uint64_t offset) const {
    std::fstream file(File(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(static_cast<char>(byte ^ 0x10));
  }

  TempDir temp_;
};

TEST_F(TileCacheOf, IsWrittenOnceAndThenServes) {
  EXPECT_EQ(TileCache::FileBytes(directory()), 0u);
  EXPECT_TRUE(OpensRight());
  const auto written = fs::last_write_time(File());
  EXPECT_TRUE(OpensRight());
  EXPECT_EQ(fs::last_write_time(File()), written);
  EXPECT_EQ(TileCache::FileBytes(directory()), fs::file_size(File()));
  EXPECT_FALSE(fs::exists(File().string() + ".tmp"));
}

// Every part of the file: magic, version, size, checksum, key, and matrices from the first byte to the last.
TEST_F(TileCacheOf, OneThatIsDamagedIsMadeAgain) {
  OpensRight();
  const std::string good = ReadFile(File());
  for (uint64_t offset : {uint64_t{0}, uint64_t{8}, uint64_t{16}, uint64_t{24}, uint64_t{40}, uint64_t{4096},
                          good.size() / 2, good.size() - 1}) {
    ChangeByte(offset);
    EXPECT_TRUE(OpensRight());
    EXPECT_EQ(ReadFile(File()), good) << "after a change at " << offset;
  }
  for (uint64_t size : {good.size() - 64, uint64_t{50}, uint64_t{0}}) {
    fs::resize_file(File(), size);
    EXPECT_TRUE(OpensRight());
    EXPECT_EQ(ReadFile(File()), good) << "after a cut to " << size;
  }
  std::ofstream(File(), std::ios::app) << "more";
  EXPECT_TRUE(OpensRight());
  EXPECT_EQ(ReadFile(File()), good);
}

TEST_F(TileCacheOf, OneOfAnotherCheckpointIsMadeAgain) {
  OpensRight();
  TempDir other;
  WritePackedCheckpoint(other.path(), kFormat, {.tied = true}, 4);  // other codes, otherwise the same
  fs::copy_file(File(), TileCache::FileOf(other.path()));
  const std::string foreign = ReadFile(File());
  for (const auto& entry : fs::directory_iterator(other.path()))
    if (entry.path().extension() == ".safetensors")
      fs::copy_file(entry.path(), directory() / entry.path().filename(), fs::copy_options::overwrite_existing);
  EXPECT_TRUE(OpensRight());
  EXPECT_NE(ReadFile(File()), foreign);
}

TEST_F(TileCacheOf, WhereNothingCanBeWrittenMemoryServes) {
  fs::create_directory(File().string() + ".tmp");
  EXPECT_FALSE(OpensRight());
  EXPECT_FALSE(fs::exists(File()));
}

TEST_F(TileCacheOf, AFullDiskLeavesNothingBehind) {
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before, small;
  getrlimit(RLIMIT_FSIZE, &before);
  small = {.rlim_cur = 8192, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_FALSE(OpensRight());
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_FALSE(fs::exists(File()));
  EXPECT_FALSE(fs::exists(File().string() + ".tmp"));
}

TEST_F(TileCacheOf, WhatAKilledProcessLeftIsNoHindrance) {
  std::ofstream(File().string() + ".tmp") << std::string(100000, 'x');
  EXPECT_TRUE(OpensRight());
  EXPECT_FALSE(fs::exists(File().string() + ".tmp"));
}

// The lock belongs to the open file, so threads meet as processes do.
TEST_F(TileCacheOf, SeveralAtOnceGetTheSameFile) {
  std::vector<std::thread> openers;
  for (int i = 0; i < 6; ++i) openers.emplace_back([this] { EXPECT_TRUE(OpensRight()); });
  for (std::thread& opener : openers) opener.join();
  EXPECT_TRUE(OpensRight());
  EXPECT_FALSE(fs::exists(File().string() + ".tmp"));
}

}  // namespace
}  // namespace ecld
