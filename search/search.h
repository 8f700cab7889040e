#pragma once
// Finds the values of a recipe that serve a model best: its `search` lists what each may be, and every candidate is
// compressed and measured whole, on text that no pass has seen, so that what is pruned, what is rounded and how finely
// are weighed against each other by what is left of the model. The measure is bits per byte of that text, the one
// figure that models of different vocabularies share. The first values of all lists are where the search begins: list
// there what must not be done worse than (quantization alone: `off` for the stages that prune).
//
//   <out>           the best candidate: a checkpoint with its plain recipe, report.json, and search.json
//   <out>.search/   trials.json, and candidates of an unfinished search; it goes away at the end
//
// Killed at any point, the same request resumes: candidates that were measured are not made again.

#include <cstdint>
#include <filesystem>

#include "core/document.h"
#include "core/json.h"
#include "recipes/recipe.h"
#include "search/descent.h"

namespace ecld {

inline constexpr DocumentKind kSearchDocument{"ecld.search", "1.0.0"};

struct SearchRequest {
  std::filesystem::path model, out;  // checkpoint directories
  std::filesystem::path held_out;    // plain text; its beginning is used, whole lines
  uint64_t held_out_B = 64 << 10;    // how much of it
  int64_t window_tok = 512;          // of the measurement; every token is scored once
  // Of the weights of a candidate: quantize.allocate fills it, and what is larger does not count. 0: none.
  uint64_t budget_B = 0;
  uint64_t memory_budget_B = 0;  // 0: what the machine has free
  bool restart = false, overwrite = false;
};

// What it will take, without touching anything. THROWS Error on what Search would refuse before its first candidate.
struct SearchPlan {
  int64_t fewest = 0, most = 0;  // candidates that are looked at
  double first_s = 0;            // to make the first of them (modelled); 0: not known
  uint64_t peak_memory_B = 0, disk_B = 0;
};
SearchPlan PlanSearch(const Recipe& recipe, const SearchRequest& request);

// search.json: {chosen, trials: [{name, recipe, weights_B, bits_per_byte, standard_error, time_s} or, where it was not
// made, {name, refused}]}, in the order in which they were measured.
// THROWS Error: a recipe without variations; an output that exists; no candidate that can be made; an unfinished
// search of another recipe, model or text; whatever a candidate throws but for a plan that refuses it.
Json Search(const Recipe& recipe, const SearchRequest& request);

}  // namespace ecld
