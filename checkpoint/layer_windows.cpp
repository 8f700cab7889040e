#include "checkpoint/layer_windows.h"

#include <algorithm>

#include "core/error.h"

namespace ecld {
namespace {

std::vector<bool> ReadSlidingLayers(const JsonView& types, size_t num_layers) {
  if (types.Size() != num_layers) Fail(types.Where(), "has {} entries for {} layers", types.Size(), num_layers);
  std::vector<bool> sliding;
  for (size_t layer = 0; layer < num_layers; ++layer) {
    const std::string type = types.At(layer).String();
    // "attention" is the older name.
    if (type != "full_attention" && type != "sliding_attention" && type != "attention")
      Fail(types.At(layer).Where(), "\"{}\" is not supported; expected full_attention or sliding_attention", type);
    sliding.push_back(type == "sliding_attention");
  }
  return sliding;
}

int64_t ReadWindow(const JsonView& json) {
  if (!json.Has("sliding_window")) return json.json().contains("sliding_window") ? 0 : 4096;
  const int64_t window = json.At("sliding_window").Int();
  if (window < 1 || window >= (int64_t{1} << 31))
    Fail(json.At("sliding_window").Where(), "expected 1 to 2^31 - 1, found {}", window);
  return window;
}

// The layers that have a window where layer_types does not say it.
int64_t PatternOf(const JsonView& json) {
  const char* key = json.Has("_sliding_window_pattern") ? "_sliding_window_pattern" : "sliding_window_pattern";
  const int64_t pattern = json.IntOr(key, 6);
  if (pattern < 1) Fail(json.At(key).Where(), "expected at least 1, found {}", pattern);
  return pattern;
}

}  // namespace

// Mistral: one window for all layers, 4096 where the key is absent, none where it is null (as transformers reads it).
// Qwen: only with use_sliding_window, from layer max_window_layers on. Gemma: all but every sixth. "layer_types"
// overrides the choice of layers.
std::vector<int64_t> ReadSlidingWindow(const JsonView& json, Family family, int64_t num_layers,
                                       std::vector<std::string>* notes) {
  std::vector<int64_t> windows(static_cast<size_t>(num_layers), 0);
  if (family == Family::kLlama) return windows;
  const bool is_gemma = family == Family::kGemma3, is_qwen = family == Family::kQwen2 || family == Family::kQwen3;
  int64_t window = ReadWindow(json);
  if (is_qwen && !json.BoolOr("use_sliding_window", false)) window = 0;
  const int64_t first = is_qwen ? json.IntOr("max_window_layers", 28) : 0, pattern = is_gemma ? PatternOf(json) : 0;
  for (int64_t layer = std::max<int64_t>(first, 0); layer < num_layers; ++layer)
    if (!is_gemma || (layer + 1) % pattern != 0) windows[static_cast<size_t>(layer)] = window;
  if (!json.Has("layer_types")) return windows;
  const JsonView types = json.At("layer_types");
  const std::vector<bool> sliding = ReadSlidingLayers(types, windows.size());
  const std::vector<int64_t> without = windows;
  for (size_t layer = 0; layer < windows.size(); ++layer) {
    if (sliding[layer] && window == 0)
      Fail(types.At(layer).Where(), "is sliding_attention, but there is no window; expected sliding_window{}",
           is_qwen ? ", and use_sliding_window true" : "");
    windows[layer] = sliding[layer] ? window : 0;
  }
  if (windows != without && !is_gemma)
    notes->push_back(fmt::format("layer_types is taken for which layers have a window, not {}",
                                 is_qwen ? "max_window_layers" : "all of them"));
  return windows;
}

}  // namespace ecld
