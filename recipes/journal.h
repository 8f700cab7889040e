#pragma once
// What an unfinished run left in its work directory, so that the same command goes on where it stopped, and another
// command does not. One JSON file, replaced atomically. A stage's entry is its object of report.json; whether its
// output is complete is not written here but seen on disk, where it appears by rename.

#include <filesystem>
#include <string>

#include "core/json.h"

namespace ecld {

// What makes two runs the same: with all of these equal, they end in the same weights.
struct RunIdentity {
  std::string tool;         // "ecld 0.1.0"
  std::string recipe;       // SHA-256 of the resolved recipe
  std::string input;        // Checkpoint::QuickIdentity
  std::string teacher;      // the same, empty when no pass needs one
  std::string calibration;  // SHA-256 of the text, empty when no pass needs it

  bool operator==(const RunIdentity&) const = default;
};

Json ToJson(const RunIdentity& identity);
RunIdentity ParseRunIdentity(const JsonView& json);  // THROWS Error

// "the recipe, the input model": what differs, for people. Empty when nothing does.
std::string Difference(const RunIdentity& a, const RunIdentity& b);

class Journal {
 public:
  // Reads the journal of an earlier run in this directory, or begins one. THROWS Error when it is of another run.
  Journal(const std::filesystem::path& work, const RunIdentity& identity);

  bool resumed() const { return resumed_; }

  // The entry of a stage, null before it was recorded. Record replaces it and writes the file.
  Json Entry(size_t stage) const;
  void Record(size_t stage, const Json& entry);

 private:
  void Save() const;

  std::filesystem::path path_;
  RunIdentity identity_;
  bool resumed_ = false;
  Json stages_ = Json::array();
};

}  // namespace ecld
