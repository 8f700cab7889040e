#include "recipes/calibration.h"

#include <algorithm>
#include <numeric>

#include "checkpoint/tokenizer/tokenizer.h"
#include "core/error.h"
#include "core/files.h"
#include "core/random.h"

namespace ecld {
namespace {

// First tokens of the windows, ascending. REQUIRES: tokens >= windows * window_tok.
std::vector<int64_t> Starts(int64_t tokens, const CalibrationOptions& options) {
  std::vector<int64_t> starts(static_cast<size_t>(options.windows));
  if (options.choice == "even") {
    int64_t last = tokens - options.window_tok;
    for (int64_t i = 0; i < options.windows; ++i)
      starts[i] = options.windows == 1 ? 0 : last * i / (options.windows - 1);
    return starts;
  }
  std::vector<int64_t> slots(static_cast<size_t>(tokens / options.window_tok));
  std::iota(slots.begin(), slots.end(), int64_t{0});
  Random random(options.seed);
  for (size_t i = 0; i < starts.size(); ++i) {
    std::swap(slots[i], slots[i + random.Below(slots.size() - i)]);
    starts[i] = slots[i] * options.window_tok;
  }
  std::sort(starts.begin(), starts.end());
  return starts;
}

}  // namespace

TokenWindows CutWindows(std::span<const int32_t> ids, const CalibrationOptions& options) {
  int64_t tokens = static_cast<int64_t>(ids.size());
  int64_t needed = options.windows * options.window_tok;
  if (tokens < needed)
    Fail(options.text, "has {} tokens, but {} windows of {} need {}; give a longer text, or set calibration.windows",
         tokens, options.windows, options.window_tok, needed);
  TokenWindows result;
  result.window_tok = options.window_tok;
  for (int64_t start : Starts(tokens, options))
    result.windows.emplace_back(ids.begin() + start, ids.begin() + start + options.window_tok);
  return result;
}

void CheckWindow(const CalibrationOptions& options, const Checkpoint& model) {
  if (options.window_tok > LongestText(model.config()))
    Fail("calibration.window_tok", "{} is more than the {} positions of {}", options.window_tok,
         LongestText(model.config()), model.directory().string());
}

TokenWindows ReadCalibration(const CalibrationOptions& options, const Checkpoint& model) {
  if (options.text.empty())
    Fail("calibration.text",
         "a pass of this recipe needs calibration text, and none is named; give --calibration FILE, or set "
         "calibration.source=model");
  CheckWindow(options, model);
  std::string text = ReadTextFile(options.text);
  std::vector<int32_t> ids = Tokenizer::Open(model.directory())->Encode(text, false);
  for (int32_t id : ids)
    if (id < 0 || id >= model.config().vocab_size)
      Fail(model.directory().string(), "its tokenizer makes id {}, but the model has a vocabulary of {}", id,
           model.config().vocab_size);
  return CutWindows(ids, options);
}

}  // namespace ecld
