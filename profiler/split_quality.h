#pragma once
// split_quality.csv: what a model that is cut between two blocks is worth when what crosses the cut is damaged, or sent
// in fewer bits. Perplexity and the share of tokens put first, on windows of a text, beside those of the model
// undamaged.

#include <cstdint>
#include <filesystem>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/tokenizer/text_source.h"
#include "core/json.h"
#include "eval/windows.h"
#include "profile/format/profile.h"
#include "profiler/channel.h"

namespace ecld {

struct Damage {
  Corruption corruption;
  double level;
};

struct SplitGrid {
  std::vector<int64_t> cuts;  // blocks before it run on the device: 1 .. num_layers - 1
  std::vector<Damage> damages;
};

// Cuts spread evenly over the blocks. full: 9 cuts, and dropout at 0.02 to 0.30 in steps of 0.04 among the damages (the
// grid of arXiv 2406.02616); else 3 cuts and fewer levels.
SplitGrid GridOfSplits(int64_t num_layers, bool full);

// The windows of a text that are scored.
struct SplitText {
  std::vector<int32_t> ids;
  std::vector<Window> windows;
  Json origin;  // file, sha256, windows and their length, for the provenance
};

// Windows of 512 tokens, or of what the model holds, one after another. THROWS Error: no text, a model of one block.
SplitText ReadSplitText(const Checkpoint& checkpoint, const TextSource& source, int64_t max_windows);

// ppl_ratio: over the undamaged perplexity of the same windows, with its normal 95 % interval by the difference in each
// window (absent with one). n: tokens scored. THROWS what scoring the windows throws.
ProfileTable MeasureSplitQuality(Session& session, const SplitText& text, const SplitGrid& grid, uint64_t seed);

}  // namespace ecld
