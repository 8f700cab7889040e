#include "offload/arrivals.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "offload/csv_columns.h"
#include "offload/reading.h"
#include "offload/streams.h"

namespace ecld::offload {
namespace {

constexpr double kMostPerSecond = 1e6, kMostSeconds = 1e9;
constexpr int64_t kMostTokens = 1 << 20;

struct Lengths {
  int64_t prompt_tok, answer_tok;
};

int64_t ReadTokens(Options& options, const char* key) {
  Need(options, key);
  return options.Int(key, 1, 1, kMostTokens);
}

Lengths ReadLengths(Options& options) {
  const int64_t prompt_tok = ReadTokens(options, "prompt_tok");
  return {prompt_tok, ReadTokens(options, "answer_tok")};
}

// Each device draws its own next time; the earliest of all comes next. Draw(random, device, now): seconds.
template <class Draw>
class DrawnArrivals : public Arrivals {
 public:
  DrawnArrivals(size_t devices, uint64_t seed, const Lengths& lengths, Draw draw)
      : draw_(std::move(draw)), lengths_(lengths) {
    for (size_t i = 0; i < devices; ++i) {
      streams_.push_back(StreamOf(seed, Draws::kArrivals, i));
      Schedule(i);
    }
  }

  std::optional<Arrival> Next() override {
    const size_t device = queue_.Next();
    const Nanoseconds at = queue_.now();
    Schedule(device);
    return Arrival{at, device, lengths_.prompt_tok, lengths_.answer_tok};
  }

 private:
  void Schedule(size_t device) { queue_.Add(queue_.now() + FromSeconds(draw_(streams_[device], device)), device); }

  Draw draw_;
  Lengths lengths_;
  std::vector<Random> streams_;
  EventQueue<size_t> queue_;
};

// make_draw(devices): what draws their times.
template <class MakeDraw>
LoadRequests DrawnRequests(const Lengths& lengths, const MakeDraw& make_draw) {
  const auto start = [=](size_t devices, uint64_t seed) -> std::unique_ptr<Arrivals> {
    using Draw = decltype(make_draw(devices));
    return std::make_unique<DrawnArrivals<Draw>>(devices, seed, lengths, make_draw(devices));
  };
  return [=] {
    return RequestSource{.start = start,
                         .typical_prompt_tok = lengths.prompt_tok,
                         .longest_prompt_tok = lengths.prompt_tok,
                         .longest_answer_tok = lengths.answer_tok};
  };
}

LoadRequests ReadPoisson(Options& options) {
  const double rate = Needed(options, "rate_per_s", kLeast, kMostPerSecond);
  return DrawnRequests(ReadLengths(options), [rate](size_t) {
    return [rate](Random& random, size_t) { return Exponential(random, 1 / rate); };
  });
}

struct Bursts {
  double rate[2], mean_s[2];  // calm, burst
};

// A Poisson process of each device whose rate is modulated by a chain of two states. A state that ends before the next
// arrival is left without one: what is memoryless is drawn anew.
struct DrawBurst {
  Bursts bursts;
  std::vector<int> state;

  double operator()(Random& random, size_t device) {
    double passed_s = 0;
    while (true) {
      int& now = state[device];
      const double arrival_s = bursts.rate[now] > 0 ? Exponential(random, 1 / bursts.rate[now]) : INFINITY;
      const double change_s = Exponential(random, bursts.mean_s[now]);
      if (arrival_s <= change_s) return passed_s + arrival_s;
      passed_s += change_s;
      now = 1 - now;
    }
  }
};

LoadRequests ReadBursts(Options& options) {
  const Bursts bursts{
      {Needed(options, "calm_per_s", 0, kMostPerSecond), Needed(options, "burst_per_s", kLeast, kMostPerSecond)},
      {Needed(options, "calm_s", 1e-3, kMostSeconds), Needed(options, "burst_s", 1e-3, kMostSeconds)}};
  return DrawnRequests(ReadLengths(options), [bursts](size_t devices) {
    return DrawBurst{bursts, std::vector<int>(devices, 0)};
  });
}

// Nanoseconds since 1970 of "2023-11-16 18:15:46.6805900".
Nanoseconds TimeOf(std::string_view text, const std::string& where) {
  constexpr std::string_view kForm = "0000-00-00 00:00:00";
  bool good = text.size() >= kForm.size();
  for (size_t i = 0; good && i < kForm.size(); ++i)
    good = kForm[i] == '0' ? text[i] >= '0' && text[i] <= '9' : text[i] == kForm[i];
  const auto number = [&](size_t from, size_t length) {
    return static_cast<int>(NumberOf(text.substr(from, length), where));
  };
  if (good) {
    namespace chrono = std::chrono;
    const chrono::year_month_day day(chrono::year(number(0, 4)), chrono::month(static_cast<unsigned>(number(5, 2))),
                                     chrono::day(static_cast<unsigned>(number(8, 2))));
    const double second = NumberOf(text.substr(17), where);
    if (day.ok() && number(0, 4) >= 1970 && number(0, 4) < 2200 && number(11, 2) < 24 && number(14, 2) < 60 &&
        second >= 0 && second < 60) {
      const int64_t minutes =
          chrono::sys_days(day).time_since_epoch().count() * 24 * 60 + number(11, 2) * 60 + number(14, 2);
      return minutes * 60 * static_cast<Nanoseconds>(kNsPerSecond) + FromSeconds(second);
    }
  }
  Fail(where, "expected a time like 2023-11-16 18:15:46.6805900, found \"{}\"", text);
}

int64_t TokensOf(std::string_view cell, const std::string& where) {
  const double value = NumberOf(cell, where);
  if (value != std::floor(value) || value < 0 || value > static_cast<double>(kMostTokens))
    Fail(where, "expected a whole number of tokens up to {}, found \"{}\"", kMostTokens, cell);
  return static_cast<int64_t>(value);
}

std::vector<Arrival> LoadTrace(const std::string& file) {
  constexpr const char* kColumns = "TIMESTAMP,ContextTokens,GeneratedTokens";
  std::vector<Arrival> rows;
  Nanoseconds begin = 0;
  ReadLines(file, kColumns, [&](std::string_view line, const std::string& where) {
    const auto cells = CellsOf(line, 3, where);
    const Nanoseconds at = TimeOf(cells[0], where);
    if (rows.empty()) begin = at;
    if (at - begin < (rows.empty() ? 0 : rows.back().at)) Fail(where, "its time is before that of the row above");
    // A request has at least one token each way.
    rows.push_back({.at = at - begin,
                    .prompt_tok = std::max<int64_t>(1, TokensOf(cells[1], where)),
                    .answer_tok = std::max<int64_t>(1, TokensOf(cells[2], where))});
  });
  if (rows.empty()) Fail(file, "has no requests");
  return rows;
}

class ReplayedArrivals : public Arrivals {
 public:
  ReplayedArrivals(std::shared_ptr<const std::vector<Arrival>> rows, size_t devices, uint64_t seed)
      : rows_(std::move(rows)), devices_(devices), choice_(StreamOf(seed, Draws::kArrivals, 0)) {}

  std::optional<Arrival> Next() override {
    if (next_ == rows_->size()) return std::nullopt;
    Arrival arrival = (*rows_)[next_++];
    arrival.device = choice_.Below(devices_);
    return arrival;
  }

 private:
  std::shared_ptr<const std::vector<Arrival>> rows_;
  size_t devices_, next_ = 0;
  Random choice_;
};

LoadRequests ReadTrace(Options& options) {
  const std::string file = NeededText(options, "file");
  return [file] {
    const auto rows = std::make_shared<const std::vector<Arrival>>(LoadTrace(file));
    RequestSource source{
        .start = [rows](size_t devices,
                        uint64_t seed) { return std::make_unique<ReplayedArrivals>(rows, devices, seed); },
        .ends = rows->back().at};
    std::vector<int64_t> prompts;
    for (const Arrival& row : *rows) {
      prompts.push_back(row.prompt_tok);
      source.longest_answer_tok = std::max(source.longest_answer_tok, row.answer_tok);
    }
    std::ranges::sort(prompts);
    source.typical_prompt_tok = prompts[prompts.size() / 2];
    source.longest_prompt_tok = prompts.back();
    return source;
  };
}

constexpr RequestKind kKinds[] = {
    {"poisson", "each device asks rate_per_s times, at random", ReadPoisson},
    {"bursts", "each device is calm or bursts, for exponential times", ReadBursts},
    {"trace", "replays a file of TIMESTAMP, ContextTokens, GeneratedTokens; devices by chance", ReadTrace},
};

}  // namespace

std::span<const RequestKind> RequestKinds() { return kKinds; }

}  // namespace ecld::offload
