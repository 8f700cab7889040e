#pragma once
// Safetensors files of tensors known beforehand: laid out in shards, allocated at once so that a full disk is found
// before the work, then written in any order and in pieces. Nothing is buffered.

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tensor_table.h"

namespace ecld {

class ShardWriter {
 public:
  static constexpr uint64_t kShardBytes = 5'000'000'000;

  // Lays the tensors out in this order; touches no file yet. REQUIRES: their names differ.
  ShardWriter(std::filesystem::path directory, std::vector<StoredTensor> tensors, uint64_t shard_bytes = kShardBytes);
  ~ShardWriter();
  ShardWriter(const ShardWriter&) = delete;
  ShardWriter& operator=(const ShardWriter&) = delete;

  // Whether files of exactly this layout are there: what an earlier run left.
  bool FilesFit() const;
  // Opens the files, made where they are not there. THROWS Error when they cannot be written.
  void Open();
  // Empties the opened files, gives them their full size and writes the headers. THROWS Error: disk full (says bytes
  // needed and free).
  void Allocate();

  // REQUIRES: opened; the tensor exists, and the piece lies inside it.
  void WritePiece(std::string_view name, uint64_t offset, std::span<const std::byte> bytes);
  // Until what was written is on disk.
  void Sync() const;
  // model.safetensors.index.json, which several shards need; nothing for one.
  void WriteIndex() const;

  uint64_t FileBytes() const;  // headers included
  const std::vector<StoredTensor>& tensors() const { return tensors_; }

 private:
  struct Place {
    size_t shard;
    uint64_t offset, bytes;  // offset from the start of the file
  };
  struct Shard {
    std::filesystem::path path;
    std::string header;  // length, JSON and padding
    uint64_t data_bytes = 0;
    int fd = -1;
  };

  std::filesystem::path directory_;
  std::vector<StoredTensor> tensors_;
  std::vector<Shard> shards_;
  std::map<std::string, Place, std::less<>> places_;
};

// Writes all bytes at offset. THROWS Error naming path.
void PWriteAll(int fd, std::span<const std::byte> bytes, uint64_t offset, const std::filesystem::path& path);

}  // namespace ecld
