#include "recipes/run_files.h"

#include "core/error.h"
#include "core/files.h"
#include "core/hash.h"

namespace ecld {

namespace fs = std::filesystem;

namespace {

void RemoveAll(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) Fail(path.string(), "cannot remove: {}", error.message());
}

// A stage that is complete.
bool IsStage(const fs::path& path) {
  return path.filename().string().starts_with("stage-") && fs::exists(path / "config.json");
}

// All but stages, where those are kept. The journal goes last: without it, what a kill leaves of the directory would
// not be known as a run's.
void RemoveWork(const fs::path& work, bool keep_stages) {
  for (const auto& entry : fs::directory_iterator(work))
    if (entry.path().filename() != "journal.json" && !(keep_stages && IsStage(entry.path()))) RemoveAll(entry.path());
  RemoveAll(keep_stages ? work / "journal.json" : work);
}

// A kill may come before the first journal is in place: then there is nothing yet but what it was being written to.
bool LeftByARun(const fs::path& work) {
  if (!fs::is_directory(work)) return false;
  if (fs::exists(work / "journal.json")) return true;
  for (const auto& entry : fs::directory_iterator(work))
    if (entry.path().filename() != "journal.json.tmp") return false;
  return true;
}

// Nothing but checkpoints of stages.
bool KeptByARun(const fs::path& stages) {
  if (!fs::is_directory(stages)) return false;
  for (const auto& entry : fs::directory_iterator(stages))
    if (!IsStage(entry.path())) return false;
  return true;
}

}  // namespace

RunFiles::RunFiles(const fs::path& output) {
  if (output.empty()) Fail("--out", "is empty; name the directory to make");
  out = fs::absolute(output).lexically_normal();
  if (!out.has_filename()) out = out.parent_path();
  work = Sibling(out, ".work");
  stages = Sibling(out, ".stages");
}

fs::path RunFiles::Stage(size_t index) const { return work / fmt::format("stage-{}", index); }
fs::path RunFiles::Staging(size_t index) const { return Sibling(Stage(index), ".staging"); }
fs::path RunFiles::Scratch(size_t index) const { return Sibling(Stage(index), ".scratch"); }
fs::path RunFiles::Statistics() const { return work / "statistics"; }

void RunFiles::CheckReplaceable(bool overwrite) const {
  if (!fs::exists(out)) return;
  if (!fs::is_directory(out)) Fail(out.string(), "exists and is not a directory; choose another output");
  if (fs::is_empty(out)) return;
  if (!overwrite) Fail(out.string(), "exists; choose another output, or --overwrite to replace it");
  if (!fs::exists(out / "config.json"))
    Fail(out.string(), "is not a checkpoint directory, so --overwrite does not replace it; choose another output");
}

void RunFiles::CheckStagesReplaceable(bool overwrite) const {
  if (!fs::exists(stages)) return;
  if (!KeptByARun(stages))
    Fail(stages.string(), "is where the stages would be kept, but holds something that no run left; move it away");
  if (!overwrite) Fail(stages.string(), "exists; remove it, or --overwrite to replace it");
}

void RunFiles::PrepareWork(bool restart) const {
  bool exists = fs::exists(work);
  if (exists && !LeftByARun(work))
    Fail(work.string(), "is needed as work directory, but holds something that no run left; move it away");
  if (exists && restart) RemoveWork(work, false);
  std::error_code error;
  fs::create_directories(work, error);
  if (error) Fail(work.string(), "cannot create: {}", error.message());
}

void RunFiles::CleanUp(bool keep_stages) const {
  if (!fs::exists(work)) return;
  if (keep_stages) CheckStagesReplaceable(true);
  RemoveWork(work, keep_stages);
  if (keep_stages) PublishDirectory(work, stages);
}

bool RunFiles::FinishedBy(const RunIdentity& identity) const {
  if (!fs::exists(out / "report.json") || !fs::exists(out / "config.json")) return false;
  Json report = ReadJsonFile(out / "report.json");
  JsonView view(report, (out / "report.json").string());
  return view.Has("identity") && ParseRunIdentity(view.At("identity")) == identity;
}

uint64_t RunFiles::WorkBytes() const {
  uint64_t bytes = 0;
  if (fs::is_directory(work))
    for (const auto& entry : fs::recursive_directory_iterator(work))
      if (entry.is_regular_file()) bytes += entry.file_size();
  return bytes;
}

std::map<std::string, std::string> WeightFileHashes(const fs::path& directory) {
  std::map<std::string, std::string> hashes;
  for (const auto& entry : fs::directory_iterator(directory))
    if (entry.path().extension() == ".safetensors")
      hashes[entry.path().filename().string()] = Sha256HexOfFile(entry.path());
  return hashes;
}

}  // namespace ecld
