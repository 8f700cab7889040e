#pragma once
// Writes a checkpoint directory of a config known beforehand. Because the config says every tensor's name, type and
// shape, the shards (5 GB each by default) are laid out and allocated at once: a full disk is found before the work,
// tensors may be written in any order and in pieces, and nothing is buffered.
//
// A killed run resumes: opening the same directory again with the same config finds what Commit recorded. The
// directory is a staging one; the caller publishes it by PublishDirectory after Finish.

#include <cstddef>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace ecld {

class CheckpointWriter {
 public:
  static constexpr uint64_t kShardBytes = 5'000'000'000;

  // Creates or resumes directory. THROWS Error: unwritable, disk full (says bytes needed and free).
  CheckpointWriter(const std::filesystem::path& directory, const ModelConfig& config,
                   uint64_t shard_bytes = kShardBytes);
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  const ModelConfig& config() const { return config_; }
  const std::vector<TensorSpec>& table() const { return table_; }

  // Whole stored tensor by name (StoredTensors of the config). REQUIRES: bytes.size() equals the declared size.
  void Write(std::string_view name, std::span<const std::byte> bytes);
  // A piece of it at byte offset. The tensor counts as written once pieces of its full size were written.
  void WritePiece(std::string_view name, uint64_t offset, std::span<const std::byte> bytes);

  // A dense parameter from floats, rounded to config.dtype. THROWS Error when a value is NaN, or overflows the type.
  void WriteFloats(const TensorSpec& spec, std::span<const float> values);
  // A parameter unchanged from another checkpoint whose stored form is the same. THROWS Error otherwise.
  void CopyFrom(const Checkpoint& source, const TensorSpec& spec);

  // Records all tensors completed so far as done; cheap enough to call after each block.
  void Commit();
  // True when every stored tensor of this parameter is written (in this run or a committed earlier one).
  bool IsWritten(const TensorSpec& spec) const;
  // True when every parameter of this layer is written (-1: embedding, final norm, head).
  bool LayerWritten(int64_t layer) const;

  // Checks that all was written; writes model.safetensors.index.json (when sharded) and config.json; copies the
  // tokenizer and generation files of source_directory; removes the journal; syncs.
  void Finish(const std::filesystem::path& source_directory);

 private:
  struct Slot {
    size_t shard;
    uint64_t offset, bytes, written;
  };
  struct Shard {
    std::filesystem::path path;
    int fd = -1;
  };

  std::filesystem::path directory_;
  ModelConfig config_;
  std::vector<TensorSpec> table_;
  std::vector<Shard> shards_;
  std::map<std::string, Slot, std::less<>> slots_;
  std::set<std::string, std::less<>> committed_;
  std::vector<std::string> uncommitted_;
};

// The files beside the weights that a client needs: tokenizer*, special tokens, generation config, chat template.
void CopyTokenizerFiles(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace ecld
