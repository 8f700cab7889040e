#pragma once
// Writes a checkpoint directory of a config known beforehand. Because the config says every tensor's name, type and
// shape, the shards (5 GB each by default) are laid out and allocated at once: a full disk is found before the work,
// tensors may be written in any order and in pieces, and nothing is buffered.
//
// A killed run resumes: opening the same directory again with the same config finds what Commit recorded. The
// directory is a staging one; the caller publishes it by PublishDirectory after Finish.

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/shard_writer.h"

namespace ecld {

class CheckpointWriter {
 public:
  // Creates or resumes directory. THROWS Error: unwritable, disk full (says bytes needed and free).
  CheckpointWriter(const std::filesystem::path& directory, const ModelConfig& config,
                   uint64_t shard_bytes = ShardWriter::kShardBytes);

  const ModelConfig& config() const { return config_; }
  const std::vector<TensorSpec>& table() const { return table_; }

  // Whole stored tensor by name (StoredTensors of the config). REQUIRES: bytes.size() equals the declared size.
  void Write(std::string_view name, std::span<const std::byte> bytes);
  // A piece of it at byte offset. The tensor counts as written once pieces of its full size were written.
  void WritePiece(std::string_view name, uint64_t offset, std::span<const std::byte> bytes);

  // A dense parameter from floats, rounded to config.dtype. THROWS Error when a value is NaN, or overflows the type.
  void WriteFloats(const TensorSpec& spec, std::span<const float> values);
  // A piece of it, from element first_element on; counts as WritePiece does.
  void WriteFloatsPiece(const TensorSpec& spec, int64_t first_element, std::span<const float> values);
  // A parameter unchanged from another checkpoint whose stored form is the same. THROWS Error otherwise.
  void CopyFrom(const Checkpoint& source, const TensorSpec& spec);

  // Records all tensors completed so far as done; cheap enough to call after each block (syncs at most once a second;
  // force: now).
  void Commit(bool force = false);
  // True when every stored tensor of this parameter is written (in this run or a committed earlier one).
  bool IsWritten(const TensorSpec& spec) const;
  // True when every parameter of this layer is written (-1: embedding, final norm, head).
  bool LayerWritten(int64_t layer) const;

  // What has been written so far, opened for reading: tensors not yet written read as zeros.
  Checkpoint View() const { return Checkpoint::OpenStaged(directory_, config_); }

  // Checks that all was written; writes model.safetensors.index.json (when sharded) and config.json; copies
  // the side files of source_directory (side_files.h); removes the journal; syncs.
  void Finish(const std::filesystem::path& source_directory);

 private:
  struct Slot {
    uint64_t bytes;
    uint64_t written = 0;    // in this run
    bool committed = false;  // by an earlier Commit, perhaps of an earlier run
  };

  bool Resume();
  void CopyTensor(const TensorView& view, const TensorSpec& spec, const StoredTensor& part);

  std::filesystem::path directory_;
  ModelConfig config_;
  std::vector<TensorSpec> table_;
  ShardWriter shards_;
  std::map<std::string, Slot, std::less<>> slots_;
  std::vector<std::string> uncommitted_;
  std::chrono::steady_clock::time_point last_sync_;
};

// THROWS Error unless a checkpoint may replace directory: it is not there, empty, or an earlier checkpoint.
void RequireReplaceableDirectory(const std::filesystem::path& directory);

}  // namespace ecld
