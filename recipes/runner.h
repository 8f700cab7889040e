#pragma once
// Runs a recipe: plans every stage, then one after the other runs the pass into a staging directory, re-opens and
// verifies the written bytes, and publishes by rename. The only caller of Pass::Run.
//
//   <out>            appears only complete, by one rename: weights, config, recipe.yaml (resolved), report.json
//   <out>.work/      stage outputs, scratch and journal of an unfinished run
//   <out>.lock       held while a run works on this output
//   <out>.stages/    the intermediate checkpoints of a finished run, with keep_stages
//
// Killed at any point, the same request resumes and ends in the same weights.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"
#include "recipes/plan.h"
#include "recipes/recipe.h"

namespace ecld {

struct RunRequest {
  std::filesystem::path model;   // checkpoint directory
  std::filesystem::path out;     // checkpoint directory to make
  uint64_t memory_budget_B = 0;  // 0: what the machine has free
  bool restart = false;          // drop what an unfinished run left
  bool overwrite = false;        // replace an existing output
  bool keep_stages = false;
  std::filesystem::path statistics;  // where passes keep what they found of the model; empty: in <out>.work, gone after
};

// Plans and touches nothing. THROWS Error on everything that RunRecipe would refuse before its first stage.
RunPlan PlanRecipe(const Recipe& recipe, const std::vector<PreparedStage>& stages, const RunRequest& request);

struct RunResult {
  bool was_finished = false;  // the output of exactly this run was already there; nothing was done
  Json report;                // report.json of the output
};

// THROWS Error: what a plan refuses; an output that exists, is busy, or overlaps an input; an unfinished run of
// another recipe, input or calibration text; a disk that is full; a stage whose written bytes are not sane.
RunResult RunRecipe(const Recipe& recipe, const std::vector<PreparedStage>& stages, const RunRequest& request);

}  // namespace ecld
