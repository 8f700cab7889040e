#pragma once
// The packed matrices of a checkpoint in the order in which the processor reads them (kernels/packing/interleaved.h).
// Made once and kept in one file beside the checkpoint, which is mapped from then on; the checkpoint's own packed
// matrices are then not touched again. Nobody needs the file but this one reader: it may be deleted at any time, and
// copies of a checkpoint go without it.
//
//   header, 4096 bytes: magic, version, size, key, checksum, zeros
//   the matrices in the order given, each from a multiple of 64 bytes on
//
// The key is the SHA-256 of the layout's version, the checkpoint's identity (config, tensor names, types and shapes,
// file sizes and modification times) and the formats; the checksum is over all matrices. Both are checked whenever the
// file is opened, so one that is stale, cut short, damaged or of another checkpoint is made again, never used. Written
// to "<file>.tmp" under a lock and renamed: several processes may open a checkpoint at once. Where it cannot be
// written (a directory without permission, a full disk) the matrices are held in memory, and the log says so.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/large_pages.h"
#include "core/mapped_file.h"
#include "core/threads.h"

namespace ecld {

class TileCache {
 public:
  // rows: packed matrices of the checkpoint, each of a format that CanInterleave. threads: 0 = all cores.
  TileCache(const Checkpoint& checkpoint, const std::vector<WeightView>& rows, int threads);

  // The same matrices, interleaved; valid as long as this object, wherever it is moved to.
  const std::vector<WeightView>& views() const { return views_; }
  uint64_t Bytes() const { return bytes_; }  // of the file, or of the memory
  bool InFile() const { return file_.has_value(); }

  // The file beside a checkpoint, whether it is there or not; and its size, 0 where it is not.
  static std::filesystem::path FileOf(const std::filesystem::path& directory);
  static uint64_t FileBytes(const std::filesystem::path& directory);

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };

  bool OpenFile(ThreadPool& pool);
  // Returns why it could not be written, or nothing.
  std::optional<std::string> WriteFile(ThreadPool& pool);
  std::optional<std::string> WriteTo(const std::filesystem::path& path, int fd, ThreadPool& pool);
  std::optional<std::string> WriteMatrices(int fd, ThreadPool& pool);
  void HoldInMemory(ThreadPool& pool);
  void PointTo(const std::byte* start);

  std::filesystem::path path_;
  std::vector<WeightView> rows_, views_;
  std::vector<uint64_t> offsets_;  // of each matrix, and the end
  std::string key_;
  uint64_t bytes_ = 0;
  std::optional<MappedFile> file_;
  std::vector<Line, LargePages<Line>> memory_;
};

}  // namespace ecld
