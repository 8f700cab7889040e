#include "profiler/split_quality.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "checkpoint/tokenizer/text_source.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/intervals.h"
#include "core/progress.h"
#include "eval/perplexity.h"
#include "eval/scored_windows.h"

namespace ecld {
namespace {

constexpr int64_t kWindow = 512;

// By window: the negative log-likelihoods, and how many tokens the model put first.
using Sums = PerTokenSums<2>;

Sums Run(Session& session, const SplitText& text) {
  const auto of_token = [](auto logits, int32_t target) {
    const auto first = std::max_element(logits[0].begin(), logits[0].end()) - logits[0].begin();
    return std::array{NegativeLogLikelihood(logits[0], target), first == target ? 1.0 : 0.0};
  };
  return SumOverWindows<2>({&session}, text.ids, text.windows, of_token, "");
}

void AddRow(int64_t cut, const Damage& damage, const Sums& clean, const Sums& damaged, Table* table) {
  std::vector<ClusterSum> more = damaged[0];
  for (size_t i = 0; i < more.size(); ++i) more[i].sum -= clean[0][i].sum;
  const Mean difference = ClusteredMean(more);
  table->AddRow();
  table->Set("cut", cut);
  table->Set("corruption", std::string(Name(damage.corruption)));
  table->Set("level", damage.level);
  table->Set("ppl", std::exp(ClusteredMean(damaged[0]).value));
  table->Set("ppl_ratio", std::exp(difference.value));
  table->Set("acc", ClusteredMean(damaged[1]).value);
  table->Set("n", difference.count);
  if (difference.standard_error) {
    table->Set("ci_lo", std::exp(difference.value - kNormal95 * *difference.standard_error));
    table->Set("ci_hi", std::exp(difference.value + kNormal95 * *difference.standard_error));
  }
  table->Set("src", std::string("m"));
}

}  // namespace

SplitGrid GridOfSplits(int64_t num_layers, bool full) {
  SplitGrid grid;
  const int64_t count = full ? 9 : 3;
  std::set<int64_t> cuts;
  for (int64_t i = 1; i <= count; ++i)
    cuts.insert(std::clamp<int64_t>((num_layers * i + (count + 1) / 2) / (count + 1), 1, num_layers - 1));
  if (num_layers > 1) grid.cuts.assign(cuts.begin(), cuts.end());
  const auto add = [&](Corruption corruption, std::initializer_list<double> levels) {
    for (double level : levels) grid.damages.push_back({corruption, level});
  };
  if (full) {
    add(Corruption::kDropout, {0.02, 0.06, 0.10, 0.14, 0.18, 0.22, 0.26, 0.30});
    add(Corruption::kAwgn, {0.01, 0.03, 0.1, 0.3});
    add(Corruption::kBitflip, {1e-6, 1e-5, 1e-4, 1e-3});
    add(Corruption::kQuant4, {0, 32, 128});
    add(Corruption::kQuant8, {0, 32, 128});
  } else {
    add(Corruption::kDropout, {0.02, 0.10, 0.30});
    add(Corruption::kAwgn, {0.03, 0.3});
    add(Corruption::kBitflip, {1e-5, 1e-3});
    add(Corruption::kQuant4, {32});
    add(Corruption::kQuant8, {0});
  }
  return grid;
}

SplitText ReadSplitText(const Checkpoint& checkpoint, const TextSource& source, int64_t max_windows) {
  const std::filesystem::path& file = source.path;
  const ModelConfig& config = checkpoint.config();
  if (config.num_layers < 2) Fail(checkpoint.directory().string(), "has one block; it cannot be cut between two");
  const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::Open(checkpoint.directory());
  const Texts texts = ReadTexts(source, checkpoint.directory(), *tokenizer);
  const int64_t window = std::min(kWindow, LongestText(config));
  SplitText split{.ids = Encode(texts, *tokenizer, true, file.string()), .windows = {}, .origin = {}};
  split.windows = Windows(static_cast<int64_t>(split.ids.size()),
                          {.window = window, .stride = window, .max_windows = max_windows}, file.string());
  split.origin = {{"file", file.filename().string()},
                  {"sha256", Sha256HexOfFile(file)},
                  {"windows", split.windows.size()},
                  {"window_tok", window}};
  return split;
}

ProfileTable MeasureSplitQuality(Session& session, const SplitText& text, const SplitGrid& grid, uint64_t seed) {
  Table table(FindTableSchema("split_quality", "profile"));
  Progress progress("profile: damage at cuts", static_cast<int64_t>(grid.cuts.size() * grid.damages.size()), "runs");
  const Sums clean = Run(session, text);
  for (int64_t cut : grid.cuts)
    for (const Damage& damage : grid.damages) {
      CorruptingChannel channel(damage.corruption, damage.level, seed);
      session.set_channel(cut, &channel);
      const Sums damaged = Run(session, text);
      session.set_channel(cut, nullptr);
      AddRow(cut, damage, clean, damaged, &table);
      progress.Advance(1);
    }
  return {TableStatus::kComplete, std::move(table)};
}

}  // namespace ecld
