#include "runtime/score.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <map>

#include "core/error.h"
#include "runtime/checks.h"

namespace ecld {
namespace {

// A stretch of one window that runs in one call.
struct Stretch {
  size_t window;
  int64_t begin, end;  // token positions
};

// A row of hidden states whose logits are wanted.
struct WantedRow {
  int64_t row;  // in the batch
  int64_t window;
  int64_t position;  // of the token it predicts
};

class Scorer {
 public:
  Scorer(std::span<const ScoredModel> models, std::span<const ScoreWindow> windows, const PositionVisitor& visit)
      : models_(models), windows_(windows), visit_(visit), hidden_(models.size()), logits_(models.size()) {
    Check();
    caches_.resize(models.size());
    int64_t largest = 0;
    for (size_t i = 0; i < models.size(); ++i) largest = std::max(largest, Config(i).vocab_size);
    chunk_rows_ = std::max<int64_t>(1, kLogitsBytes / 4 / largest);
  }

  // Fills batches of kBatchRows with windows in order; a window that does not fit goes on in the next batch.
  void Run() {
    std::vector<Stretch> batch;
    int64_t rows = 0;
    for (size_t window = 0; window < windows_.size(); ++window) {
      const auto length = static_cast<int64_t>(windows_[window].tokens.size()) - 1;  // the last token predicts nothing
      for (int64_t begin = 0; begin < length;) {
        const int64_t end = std::min(length, begin + kBatchRows - rows);
        batch.push_back({window, begin, end});
        rows += end - begin;
        begin = end;
        if (rows == kBatchRows) {
          RunBatch(batch);
          batch.clear();
          rows = 0;
        }
      }
    }
    if (!batch.empty()) RunBatch(batch);
  }

 private:
  const RuntimeModel& Model(size_t i) const { return models_[i].session->model(); }
  const ModelConfig& Config(size_t i) const { return Model(i).config(); }

  void Check() const {
    const auto with_ids = std::ranges::find_if(models_, [](const ScoredModel& m) { return m.own_ids.empty(); });
    assert(with_ids != models_.end());
    const RuntimeModel& first = with_ids->session->model();
    for (size_t i = 0; i < models_.size(); ++i) {
      const int64_t vocabulary = models_[i].own_ids.empty() ? Config(i).vocab_size : std::ssize(models_[i].own_ids);
      if (vocabulary != first.config().vocab_size)
        Fail(Model(i).checkpoint().directory().string(),
             "has a vocabulary of {}, but the model it is compared with has {}", vocabulary, first.config().vocab_size);
    }
    for (size_t i = 0; i < windows_.size(); ++i) {
      const auto size = static_cast<int64_t>(windows_[i].tokens.size());
      if (windows_[i].first_scored < 1 || windows_[i].first_scored >= size)
        Fail("",
             "window {} has {} tokens and is scored from position {}: must hold at least two tokens and be scored "
             "from between 1 and its last",
             i, size, windows_[i].first_scored);
      // The last token of a window is never run, so Session does not see it.
      CheckTokens(first, windows_[i].tokens.last(1), size - 1);
    }
  }

  void RunBatch(std::span<const Stretch> batch) {
    std::vector<WantedRow> wanted;
    int64_t row = 0;
    for (const Stretch& stretch : batch)
      for (int64_t i = stretch.begin; i < stretch.end; ++i, ++row)
        if (i + 1 >= windows_[stretch.window].first_scored)
          wanted.push_back({row, static_cast<int64_t>(stretch.window), i + 1});
    for (size_t s = 0; s < models_.size(); ++s) Forward(s, batch, wanted);
    const auto count = static_cast<int64_t>(wanted.size());
    for (int64_t begin = 0; begin < count; begin += chunk_rows_)
      VisitChunk(std::span(wanted).subspan(static_cast<size_t>(begin),
                                           static_cast<size_t>(std::min(chunk_rows_, count - begin))),
                 begin);
  }

  // The tokens as model s calls them; storage: where they lie if that is otherwise.
  std::span<const int32_t> OwnTokens(size_t s, std::span<const int32_t> tokens, std::vector<int32_t>& storage) const {
    const std::span<const int32_t> own = models_[s].own_ids;
    if (own.empty()) return tokens;
    for (const int32_t id : tokens) {
      if (id < 0 || id >= std::ssize(own)) return tokens;  // which the session refuses
      storage.push_back(own[static_cast<size_t>(id)]);
    }
    return storage;
  }

  // Leaves the hidden states of the wanted rows in hidden_[s], one after another.
  void Forward(size_t s, std::span<const Stretch> batch, std::span<const WantedRow> wanted) {
    Session& session = *models_[s].session;
    auto& caches = caches_[s];
    // Only a window that began in the batch before may go on in this one.
    std::erase_if(caches, [&](const auto& entry) { return entry.first != batch.front().window; });
    std::vector<Piece> pieces;
    std::vector<std::vector<int32_t>> own(batch.size());
    for (const Stretch& stretch : batch) {
      KvCache& cache = caches.try_emplace(stretch.window, session.model()).first->second;
      const auto count = static_cast<size_t>(stretch.end - stretch.begin);
      const auto tokens = windows_[stretch.window].tokens;
      const auto read = tokens.subspan(static_cast<size_t>(stretch.begin), count);
      pieces.push_back({&cache, OwnTokens(s, read, own[pieces.size()]), std::ssize(tokens)});
    }
    const std::span<const float> all = session.Forward(pieces);
    const auto width = static_cast<size_t>(session.model().config().hidden_size);
    hidden_[s].clear();
    for (const WantedRow& row : wanted) {
      const auto states = all.subspan(static_cast<size_t>(row.row) * width, width);
      hidden_[s].insert(hidden_[s].end(), states.begin(), states.end());
    }
  }

  void VisitChunk(std::span<const WantedRow> rows, int64_t first) {
    for (size_t s = 0; s < models_.size(); ++s) {
      const auto width = static_cast<size_t>(Config(s).hidden_size);
      logits_[s].resize(rows.size() * static_cast<size_t>(Config(s).vocab_size));
      models_[s].session->Logits(
          std::span<const float>(hidden_[s]).subspan(static_cast<size_t>(first) * width, rows.size() * width),
          logits_[s]);
    }
    models_.front().session->pool().ParallelFor(static_cast<int64_t>(rows.size()), 1, [&](int64_t begin, int64_t end) {
      std::vector<std::span<const float>> side_by_side(models_.size());
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        for (size_t s = 0; s < models_.size(); ++s) {
          const auto vocab = static_cast<size_t>(Config(s).vocab_size);
          side_by_side[s] = std::span<const float>(logits_[s]).subspan(i * vocab, vocab);
        }
        visit_(rows[i].window, rows[i].position, side_by_side);
      }
    });
  }

  std::span<const ScoredModel> models_;
  std::span<const ScoreWindow> windows_;
  const PositionVisitor& visit_;
  int64_t chunk_rows_ = 0;
  std::vector<std::map<size_t, KvCache>> caches_;    // per model, by window
  std::vector<std::vector<float>> hidden_, logits_;  // per model
};

}  // namespace

void VisitPositions(std::span<const ScoredModel> models, std::span<const ScoreWindow> windows,
                    const PositionVisitor& visit) {
  Scorer(models, windows, visit).Run();
}

std::vector<std::vector<double>> Score(Session& session, std::span<const ScoreWindow> windows) {
  std::vector<std::vector<double>> scores;
  for (const ScoreWindow& window : windows)
    scores.emplace_back(std::max<int64_t>(0, static_cast<int64_t>(window.tokens.size()) - window.first_scored));
  const ScoredModel models[] = {&session};
  VisitPositions(models, windows, [&](int64_t window, int64_t position, auto logits) {
    const ScoreWindow& scored = windows[static_cast<size_t>(window)];
    const auto token = static_cast<size_t>(scored.tokens[static_cast<size_t>(position)]);
    scores[static_cast<size_t>(window)][static_cast<size_t>(position - scored.first_scored)] =
        static_cast<double>(logits[0][token]) - LogSumExp(logits[0]);
  });
  return scores;
}

double LogSumExp(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  return largest + std::log(sum);
}

}  // namespace ecld
