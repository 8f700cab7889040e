#include "recipes/sampled_calibration.h"

#include <algorithm>

#include "checkpoint/layer_sizes.h"
#include "core/files.h"
#include "core/json.h"
#include "core/progress.h"
#include "core/random.h"
#include "measure/roof.h"
#include "recipes/calibration.h"
#include "runtime/sampler.h"
#include "runtime/session.h"

namespace ecld {
namespace {

constexpr int64_t kLikeliestTokens = 4;           // LLM-QAT: three to five
constexpr int64_t kMostWindowsAtOnce = 64;        // they share each reading of the weights
constexpr uint64_t kMostCacheBytes = 1ull << 30;  // of the windows that are written at once

uint64_t WindowBytes(const CalibrationOptions& options, const ModelConfig& config) {
  uint64_t bytes = 0;
  for (const LayerSizes& sizes : SizesOfLayers(config)) {
    const KvShape shape{.type = KvType::kF16, .num_kv_heads = sizes.num_kv_heads, .head_dim = config.head_dim};
    bytes += static_cast<uint64_t>(shape.Bytes(WholeKeyBlocks(options.window_tok)));
  }
  return bytes;
}

int64_t WindowsAtOnce(const CalibrationOptions& options, const ModelConfig& config) {
  const auto fitting = static_cast<int64_t>(kMostCacheBytes / WindowBytes(options, config));
  return std::clamp<int64_t>(std::min(fitting, options.windows), 1, kMostWindowsAtOnce);
}

// Windows [first, first + count), written side by side. Each has a seed of its own, so that it does not matter which
// ones are written together.
std::vector<std::vector<int32_t>> WriteWindows(const CalibrationOptions& options, Session& session, int64_t first,
                                               int64_t count, Progress& progress) {
  const ModelConfig& config = session.model().config();
  std::vector<KvCache> caches(static_cast<size_t>(count), KvCache(session.model()));
  std::vector<Sampler> likeliest, drawn;
  std::vector<std::vector<int32_t>> windows;
  for (int64_t i = 0; i < count; ++i) {
    Random random(options.seed + static_cast<uint64_t>(first + i) * 0x9e3779b9u);
    windows.push_back({static_cast<int32_t>(random.Below(static_cast<uint64_t>(config.vocab_size)))});
    likeliest.emplace_back(SamplerOptions{});
    drawn.emplace_back(SamplerOptions{.temperature = 1, .seed = random.Next()});
    caches[static_cast<size_t>(i)].Reserve(options.window_tok);
  }
  std::vector<float> logits(static_cast<size_t>(count * config.vocab_size));
  for (int64_t token = 1; token < options.window_tok; ++token) {
    std::vector<Piece> pieces;
    for (size_t i = 0; i < windows.size(); ++i) pieces.push_back({&caches[i], std::span(windows[i]).last(1)});
    session.Logits(session.Forward(pieces), logits);
    for (size_t i = 0; i < windows.size(); ++i) {
      Sampler& sampler = (token <= kLikeliestTokens ? likeliest : drawn)[i];
      windows[i].push_back(sampler.Next(std::span(logits).subspan(i * static_cast<size_t>(config.vocab_size),
                                                                  static_cast<size_t>(config.vocab_size))));
    }
    progress.Advance(count);
  }
  return windows;
}

}  // namespace

TokenWindows SampleCalibration(const CalibrationOptions& options, const Checkpoint& model,
                               const std::filesystem::path& file) {
  CheckWindow(options, model);
  TokenWindows result;
  result.window_tok = options.window_tok;
  if (std::filesystem::exists(file)) {
    result.windows = ReadJsonFile(file).get<std::vector<std::vector<int32_t>>>();
    return result;
  }
  const RuntimeModel runtime(model, {.precision = Precision::kFast});
  ThreadPool pool;
  Session session(runtime, pool);
  Progress progress("calibration text by the model", options.windows * (options.window_tok - 1), "tokens");
  const int64_t at_once = WindowsAtOnce(options, model.config());
  for (int64_t first = 0; first < options.windows; first += at_once)
    for (auto& window : WriteWindows(options, session, first, std::min(at_once, options.windows - first), progress))
      result.windows.push_back(std::move(window));
  WriteFileAtomically(file, Json(result.windows).dump());
  return result;
}

SamplingCost CostOfSampling(const CalibrationOptions& options, const Checkpoint& model) {
  ThreadPool pool;
  const Roof roof = MeasureRoof(pool);
  const int64_t at_once = WindowsAtOnce(options, model.config());
  const auto rounds = static_cast<double>((options.windows + at_once - 1) / at_once * options.window_tok);
  const double operations = 2 * static_cast<double>(ParameterCount(model.config()) * at_once);
  return {rounds * roof.LeastMs(static_cast<double>(model.WeightBytes()), operations, Arithmetic::kBf16Pairs) / 1e3,
          static_cast<uint64_t>(at_once) * WindowBytes(options, model.config())};
}

}  // namespace ecld
