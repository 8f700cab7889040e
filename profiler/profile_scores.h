#pragma once
// What a checkpoint is worth, as tables of its device profile: quality.csv, uncertainty.csv with the answers behind it,
// planner.csv and planner_len.csv, from results that `eval` wrote. Nothing is scored here.

#include <filesystem>
#include <string>
#include <vector>

#include "profile/format/profile.h"

namespace ecld {

struct ScoreFiles {
  std::vector<std::filesystem::path> results;  // of `eval --text --json` and `eval --tasks --json`
  std::filesystem::path samples;          // what `eval --tasks --samples` wrote beside them; empty: quality.csv alone
  std::filesystem::path planned_lengths;  // see profile_planner.h; may be empty
};

// Replaces those tables, provenance.datasets, provenance.difficulty and variant.uncertainty: of each task and aggregate
// the AUROC, Spearman's rho, calibration error, coverage curve and thresholds for offloading; and variant.new_errors,
// what a compressed model hallucinates that its original did not; and variant.planner_len. Answers that nothing judges
// have a length and an uncertainty, and neither bins nor curves. prompt_fmt of a task is "<scorer>/<metric>".
// weights_sha256: of the checkpoint profiled. THROWS Error: a result or log of another checkpoint, task or data; a log
// that lacks items; a score named twice.
void AddScores(const ScoreFiles& files, const std::string& weights_sha256, DeviceProfile* profile);

}  // namespace ecld
