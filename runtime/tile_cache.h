#pragma once
// The packed matrices of a checkpoint in the order in which the processor reads them (kernels/packing/interleaved.h).
// Made once and kept in a file beside the checkpoint (checkpoint/cache_file.h); the checkpoint's own packed matrices
// are then not touched again. The matrices lie in the order given, each from a multiple of 64 bytes on.
//
// The key is the SHA-256 of the layout's version, the checkpoint's identity (config, tensor names, types and shapes,
// file sizes and modification times) and the formats. Where the file cannot be written (a directory without permission,
// a full disk) the matrices are held in memory, and the log says so.

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

  // Returns why it could not be written, or nothing.
  std::optional<std::string> UseFile(const std::string& key, ThreadPool& pool);
  std::optional<std::string> WriteMatrices(int fd, ThreadPool& pool);
  void HoldInMemory(ThreadPool& pool);
  void PointTo(const std::byte* start);

  std::filesystem::path path_;
  std::vector<WeightView> rows_, views_;
  std::vector<uint64_t> offsets_;  // of each matrix, and the end
  uint64_t bytes_ = 0;
  std::optional<MappedFile> file_;
  std::vector<Line, LargePages<Line>> memory_;
};

}  // namespace ecld
