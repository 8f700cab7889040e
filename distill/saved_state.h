#pragma once
// Tensors in files, from which a killed run goes on: bound to a key, so that the state of another run, a damaged one or
// half of one is never read (checkpoint/cache_file.h). Replaced by one rename.

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/threads.h"

namespace ecld {

class SavedState {
 public:
  // key: 64 hex digits, of all that the states depend on.
  SavedState(std::filesystem::path directory, std::string key, ThreadPool& pool)
      : directory_(std::move(directory)), key_(std::move(key)), pool_(pool) {}

  // All contiguous. THROWS Error when the file cannot be written.
  void Save(const std::string& name, const std::vector<at::Tensor>& tensors) const;
  // Into tensors of the same types and shapes; false, and nothing done, where there is no such state.
  bool Load(const std::string& name, const std::vector<at::Tensor>& tensors) const;

  static uint64_t Bytes(const std::vector<at::Tensor>& tensors);

 private:
  std::filesystem::path directory_;
  std::string key_;
  ThreadPool& pool_;
};

}  // namespace ecld
