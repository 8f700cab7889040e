#pragma once
// The paths a run reads and writes, and the checks on them before anything is touched.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "recipes/journal.h"

namespace ecld {

struct RunFiles {
  explicit RunFiles(const std::filesystem::path& output);

  std::filesystem::path out;     // absolute, without a trailing slash
  std::filesystem::path work;    // <out>.work
  std::filesystem::path stages;  // <out>.stages

  std::filesystem::path Stage(size_t index) const;    // complete
  std::filesystem::path Staging(size_t index) const;  // being written
  std::filesystem::path Scratch(size_t index) const;
  std::filesystem::path Statistics() const;  // of gradients, where the user names no other place

  // THROWS Error when out exists and may not be replaced: without overwrite, or when it is no checkpoint at all.
  void CheckReplaceable(bool overwrite) const;
  // The same for the directory of kept stages: it may hold what a run kept, and nothing else.
  void CheckStagesReplaceable(bool overwrite) const;

  // Makes the work directory; with restart, an empty one. THROWS Error when it cannot be made, or when something
  // stands there that no run left.
  void PrepareWork(bool restart) const;

  // After publishing: the work directory goes away, or becomes <out>.stages, with nothing but stages in it.
  void CleanUp(bool keep_stages) const;

  // Whether out is the finished result of this run.
  bool FinishedBy(const RunIdentity& identity) const;

  // Bytes of all files below work.
  uint64_t WorkBytes() const;
};

// File name -> SHA-256, of the safetensors files of a checkpoint directory.
std::map<std::string, std::string> WeightFileHashes(const std::filesystem::path& directory);

}  // namespace ecld
