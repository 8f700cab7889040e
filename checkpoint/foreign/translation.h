#pragma once
// The matrices of a checkpoint that another program quantized, in ECLD's own formats: packed with the same codes where
// a format of ours holds them without loss, else dense in the type of the config. Decided from headers and group
// indices when the checkpoint is opened; done, a matrix at a time, when the first of them is asked for, into one file
// beside the checkpoint (cache_file.h) that is mapped from then on. Where that cannot be written, a file without a name
// in the system's folder for temporary files takes its place, at every start, and the log says so.

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/config.h"
#include "checkpoint/foreign/matrix.h"
#include "checkpoint/tensor_names.h"
#include "core/threads.h"

namespace ecld {

class Translation {
 public:
  // Finds out what becomes of each matrix; takes the tensors that it will read out of *tensors and sets
  // config->quantization to the formats there will be. identity: of the checkpoint's files. nullptr: all is in ECLD's
  // own formats already. names: of the modules in lists of foreign. THROWS Error: a tensor that is missing or does not
  // fit.
  static std::shared_ptr<const Translation> Plan(const std::filesystem::path& directory, const ForeignConfig& foreign,
                                                 const ModuleNames& names, Unpacking unpacking,
                                                 const std::string& identity, ModelConfig* config, TensorMap* tensors);

  const std::string& identity() const { return identity_; }
  bool Has(std::string_view name) const { return views_.contains(name); }
  // Type and shape of a tensor there will be. REQUIRES: Has(name).
  StoredTensor Stored(std::string_view name) const;
  // The tensor; the first call for one of them may take minutes. THROWS Error: what the source holds is damaged, or
  // no disk has room. Safe on several threads.
  const TensorView& Tensor(std::string_view name) const;

  uint64_t Bytes() const;      // of all tensors there will be
  uint64_t FileBytes() const;  // of the file that has them; 0: there are none
  bool FileIsThere() const;
  // For people: what was found and what becomes of it; and what the source asks of a runtime that ECLD does not do.
  std::vector<std::string> Notes() const;
  const std::vector<std::string>& unapplied() const { return unapplied_; }
  const std::vector<std::string>& readings() const { return readings_; }  // how it was read where that was open
  Json ToJson() const;                                                    // the same for a report

  // The file beside a checkpoint, whether it is there or not.
  static std::filesystem::path FileOf(const std::filesystem::path& directory, Unpacking unpacking);

 private:
  struct Part {
    StoredTensor stored;
    uint64_t offset = 0;  // in the file
  };
  struct Entry {
    TensorSpec spec;
    std::unique_ptr<ForeignMatrix> matrix;
    int64_t hadamard = 0;  // inputs of a block that a Hadamard matrix is folded into; 0: none
    std::string hadamard_name;
    std::optional<TensorView> hadamard_view;  // as it is stored, where it is
    std::vector<std::span<const std::byte>> sources;
    std::vector<Part> parts;
  };

  class Planner;

  void LayOut(const ModelConfig& config);
  void Make() const;
  std::optional<std::string> WriteAll(int fd, ThreadPool& pool) const;
  std::optional<std::string> WriteDense(const Entry& entry, int fd, ThreadPool& pool) const;
  std::optional<std::string> WritePacked(const Entry& entry, int fd, ThreadPool& pool) const;

  std::filesystem::path directory_, path_;
  std::string identity_, key_, method_;
  std::vector<std::string> unapplied_;
  std::vector<std::string> readings_;
  std::vector<Entry> entries_;
  uint64_t source_B_ = 0, file_B_ = 0;
  mutable std::once_flag once_;
  mutable std::map<std::string, TensorView, std::less<>> views_;  // bytes are there once it is made
  std::map<std::string, uint64_t, std::less<>> offsets_;
  mutable std::optional<MappedFile> file_;
};

// 8-bit floats with scales in a checkpoint whose config says nothing of them: the config that it should have had.
std::optional<ForeignConfig> FindFloatScales(const std::filesystem::path& directory, const ModelConfig& config,
                                             const TensorMap& tensors);

}  // namespace ecld
