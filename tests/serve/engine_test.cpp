#include "serve/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "core/files.h"
#include "runtime/generate.h"
#include "runtime/score.h"
#include "tests/serve/tiny_served.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

std::vector<int32_t> SomeIds(int64_t count, int64_t from) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>((from * 31 + i * 97 + i / 7) % 283));
  return ids;
}

// Collects the updates of one submission until all of its sequences have ended.
class Collector {
 public:
  struct Result {
    std::string text;
    std::vector<TokenReport> prompt_reports, reports;
    SequenceUpdate last;
  };

  explicit Collector(size_t count) : results(count) {}

  Engine::Sink Sink() {
    return [this](size_t index, SequenceUpdate update) {
      std::lock_guard lock(mutex_);
      Result& result = results[index];
      EXPECT_FALSE(result.last.finish) << "an update after the last";
      result.text += update.text;
      std::ranges::copy(update.prompt_reports, std::back_inserter(result.prompt_reports));
      std::ranges::copy(update.reports, std::back_inserter(result.reports));
      ++updates;
      if (update.finish) ++finished_;
      result.last = std::move(update);
      changed_.notify_all();
    };
  }
  void Await() {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(30), [this] { return finished_ == results.size(); }));
  }
  void AwaitFirst() {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(30), [this] { return updates > 0; }));
  }

  std::vector<Result> results;
  int64_t updates = 0;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t finished_ = 0;
};

std::shared_ptr<std::atomic<bool>> NotCancelled() { return std::make_shared<std::atomic<bool>>(false); }

std::vector<Collector::Result> RunAll(Engine& engine, std::vector<SequenceRequest> requests) {
  Collector collector(requests.size());
  EXPECT_EQ(engine.Submit(std::move(requests), collector.Sink(), NotCancelled()), Engine::Admission::kAccepted);
  collector.Await();
  return collector.results;
}

void AwaitLoad(const Engine& engine, const std::function<bool(const Engine::Load&)>& condition) {
  for (int i = 0; i < 3000 && !condition(engine.load()); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ASSERT_TRUE(condition(engine.load()));
}

bool Idle(const Engine::Load& load) { return load.running + load.waiting == 0; }

TEST(Engine, ManyAtOnceEqualEachAlone) {
  TinyServed tiny;
  std::vector<SequenceRequest> requests;
  for (int64_t i = 0; i < 14; ++i)
    requests.push_back(
        {.prompt = SomeIds(1 + i * 5, i),
         .max_tokens = 1 + i,
         .sampler = {.temperature = i % 3 == 0 ? 0 : 0.9, .top_p = 0.95, .seed = 7 + static_cast<uint64_t>(i)}});
  Engine engine(tiny.model, *tiny.tokenizer, tiny.pool, {.max_batch = 5, .prefill_chunk = 7});
  const auto results = RunAll(engine, requests);

  ThreadPool pool(1);
  Session session(tiny.model, pool);
  for (size_t i = 0; i < requests.size(); ++i) {
    const Generation alone = Generate(
        session, requests[i].prompt,
        {.max_tokens = requests[i].max_tokens, .stop_ids = {*tiny.tokenizer->eos()}, .sampler = requests[i].sampler});
    TextStream stream(*tiny.tokenizer, TextStream::Start::kContinuation);
    std::string text;
    for (int32_t token : alone.tokens) text += stream.Add(token);
    EXPECT_EQ(results[i].text, text + stream.Finish()) << i;
    EXPECT_EQ(results[i].last.answer_tok, static_cast<int64_t>(alone.tokens.size())) << i;
    EXPECT_EQ(results[i].last.prompt_tok, static_cast<int64_t>(requests[i].prompt.size()));
    EXPECT_EQ(results[i].last.finish, alone.end == Generation::End::kStopId ? Finish::kStop : Finish::kLength);
  }
}

TEST(Engine, LogprobsAreTheModels) {
  TinyServed tiny;
  const std::vector<int32_t> prompt = SomeIds(23, 3);
  SequenceRequest request{.prompt = prompt,
                          .max_tokens = 6,
                          .sampler = {.temperature = 1.5, .seed = 4},
                          .top_logprobs = 3,
                          .score_prompt = true};
  Engine engine(tiny.model, *tiny.tokenizer, tiny.pool, {.prefill_chunk = 5});
  const auto result = RunAll(engine, {request, request})[1];

  std::vector<int32_t> ids;
  std::vector<double> logprobs;
  std::vector<TokenReport> reports = result.prompt_reports;
  reports.insert(reports.end(), result.reports.begin(), result.reports.end());
  ASSERT_EQ(reports.size(), prompt.size() + static_cast<size_t>(result.last.answer_tok));
  EXPECT_FALSE(reports[0].logprob);
  for (const TokenReport& report : reports) {
    ids.push_back(report.id);
    if (ids.size() == 1) continue;
    logprobs.push_back(*report.logprob);
    ASSERT_EQ(report.top.size(), 3u);
    EXPECT_GE(report.top[0].logprob, report.top[1].logprob);
    EXPECT_GE(report.top[1].logprob, report.top[2].logprob);
    EXPECT_GE(report.top[0].logprob, *report.logprob);
  }
  EXPECT_EQ(std::vector(ids.begin(), ids.begin() + 23), prompt);
  Session session(tiny.model, tiny.pool);
  const std::vector<ScoreWindow> windows = {{.tokens = ids}};
  EXPECT_TRUE(Near(logprobs, Score(session, windows)[0], {.max_abs = 1e-4}));
}

TEST(Engine, MaxTokensZeroOnlyScoresThePrompt) {
  TinyServed tiny;
  Engine engine(tiny.model, *tiny.tokenizer, tiny.pool, {});
  const auto result =
      RunAll(engine, {{.prompt = SomeIds(9, 1), .max_tokens = 0, .top_logprobs = 0, .score_prompt = true}})[0];
  EXPECT_EQ(result.text, "");
  EXPECT_EQ(result.prompt_reports.size(), 9u);
  EXPECT_EQ(result.last.answer_tok, 0);
  EXPECT_EQ(result.last.finish, Finish::kLength);
}

TEST(Engine, AStopStringEndsTheTextWhereverTokensEnd) {
  TinyServed tiny;
  Engine engine(tiny.model, *tiny.tokenizer, tiny.pool, {});
  const SequenceRequest request{.prompt = SomeIds(9, 2), .max_tokens = 60, .top_logprobs = 0};
  const auto whole = RunAll(engine, {request})[0];
  ASSERT_GT(whole.text.size(), 20u);
  for (size_t at : {size_t{0}, size_t{5}, size_t{11}}) {
    SequenceRequest stopped = request;
    stopped.stop = {whole.text.substr(at, 4), "never said"};
    const auto result = RunAll(engine, {stopped})[0];
    EXPECT_EQ(result.text, whole.text.substr(0, whole.text.find(stopped.stop[0])));
    EXPECT_EQ(result.last.finish, Finish::kStop);
    EXPECT_LT(result.last.answer_tok, whole.last.answer_tok);
    // Reports are of the tokens whose text, or the start of it, is in the answer.
    std::string reported;
    for (const TokenReport& report : result.reports) reported += tiny.tokenizer->Bytes(report.id, true);
    EXPECT_GE(reported.size(), result.text.size() == 0 ? 0 : 1u);
    EXPECT_LT(reported.size(), result.text.size() + 16);
  }
}

TEST(Engine, ACancelledRequestIsDroppedAndItsMemoryFreed) {
  TinyServed tiny({.max_position = 100'000}, NeverEnds);
  Engine engine(tiny.model, *tiny.tokenizer, tiny.pool, {.max_batch = 2});
  Collector collector(4);
  auto cancelled = NotCancelled();
  const SequenceRequest request{.prompt = SomeIds(9, 2), .max_tokens = 90'000};
  ASSERT_EQ(engine.Submit({request, request, request, request}, collector.Sink(), cancelled),
            Engine::Admission::kAccepted);
  collector.AwaitFirst();
  EXPECT_EQ(engine.load().running, 2);
  EXPECT_GT(engine.load().kv_reserved_B, 0u);
  *cancelled = true;
  AwaitLoad(engine, Idle);
  EXPECT_EQ(engine.load().kv_reserved_B, 0u);
  const int64_t updates = collector.updates;
  RunAll(engine, {{.prompt = SomeIds(3, 1), .max_tokens = 3}});
  EXPECT_EQ(collector.updates, updates);
}

TEST(Engine, AFullQueueRefusesAllOfARequestOrNothing) {
  TinyServed tiny({.max_position = 100'000}, NeverEnds);
  Engine engine(tiny.model, *tiny.tokenizer, tiny.pool, {.max_queue = 3, .max_batch = 1});
  Collector first(1), second(2), third(2);
  auto cancelled = NotCancelled();
  const SequenceRequest request{.prompt = SomeIds(9, 2), .max_tokens = 90'000};
  ASSERT_EQ(engine.Submit({request}, first.Sink(), cancelled), Engine::Admission::kAccepted);
  first.AwaitFirst();
  EXPECT_EQ(engine.Submit({request, request}, second.Sink(), cancelled), Engine::Admission::kAccepted);
  EXPECT_EQ(engine.Submit({request, request}, third.Sink(), NotCancelled()), Engine::Admission::kQueueFull);
  EXPECT_EQ(engine.load().waiting, 2);
  *cancelled = true;
  AwaitLoad(engine, Idle);
  EXPECT_EQ(third.updates, 0);
}

TEST(Engine, CachesStayWithinTheirBudget) {
  TinyServed tiny;
  const uint64_t per_token = KvCache::BytesPerToken(tiny.model);
  Engine engine(tiny.model, *tiny.tokenizer, tiny.pool, {.max_batch = 8, .kv_budget_B = 130 * per_token});
  EXPECT_EQ(engine.options().context, 128) << "whole blocks of 32";
  Collector collector(6);
  std::vector<SequenceRequest> requests;
  for (int64_t i = 0; i < 6; ++i) requests.push_back({.prompt = SomeIds(20, i), .max_tokens = 21});
  std::atomic<uint64_t> most_B = 0;
  std::atomic<int64_t> most_running = 0;
  const Engine::Sink sink = collector.Sink();
  ASSERT_EQ(engine.Submit(
                requests,
                [&](size_t index, SequenceUpdate update) {
                  const Engine::Load load = engine.load();
                  most_B = std::max(most_B.load(), load.kv_reserved_B);
                  most_running = std::max(most_running.load(), load.running);
                  sink(index, std::move(update));
                },
                NotCancelled()),
            Engine::Admission::kAccepted);
  collector.Await();
  EXPECT_EQ(most_B, 128 * per_token);
  EXPECT_EQ(most_running, 2);
}

TEST(Engine, EndAllSaysSoToEverybody) {
  TinyServed tiny({.max_position = 100'000}, NeverEnds);
  Engine engine(tiny.model, *tiny.tokenizer, tiny.pool, {.max_batch = 1});
  Collector collector(2);
  const SequenceRequest request{.prompt = SomeIds(9, 2), .max_tokens = 90'000};
  ASSERT_EQ(engine.Submit({request, request}, collector.Sink(), NotCancelled()), Engine::Admission::kAccepted);
  collector.AwaitFirst();
  engine.Close();
  EXPECT_EQ(engine.Submit({request}, collector.Sink(), NotCancelled()), Engine::Admission::kClosed);
  engine.EndAll();
  collector.Await();
  for (const auto& result : collector.results) EXPECT_EQ(result.last.finish, Finish::kShutdown);
  AwaitLoad(engine, Idle);
}

// Every value of the head becomes NaN.
void DamageHead(const std::filesystem::path& directory) {
  const Checkpoint checkpoint = Checkpoint::Open(directory);
  const std::span<const std::byte> head = checkpoint.Tensor("lm_head.weight").bytes;
  const std::string bytes(reinterpret_cast<const char*>(head.data()), head.size());
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ".safetensors") continue;
    std::string content = ReadFile(entry.path());
    const size_t at = content.find(bytes);
    if (at == std::string::npos) continue;
    std::fill_n(content.begin() + static_cast<std::ptrdiff_t>(at), bytes.size(), '\xff');
    WriteFileAtomically(entry.path(), content);
  }
}

TEST(Engine, ADamagedModelFailsItsRequestsAndNothingElse) {
  TinyServed tiny({}, DamageHead);
  Engine engine(tiny.model, *tiny.tokenizer, tiny.pool, {});
  for (int i = 0; i < 2; ++i) {
    const auto results = RunAll(engine, {{.prompt = SomeIds(3, 1)}, {.prompt = SomeIds(4, 1)}});
    EXPECT_EQ(results[1].last.finish, Finish::kFailed);
    EXPECT_NE(results[1].last.error.find("weights are damaged"), std::string::npos) << results[1].last.error;
  }
}

TEST(Engine, OptionsOutOfRangeAreErrors) {
  TinyServed tiny;
  const auto make = [&](const EngineOptions& options) { Engine(tiny.model, *tiny.tokenizer, tiny.pool, options); };
  EXPECT_ERROR(make({.max_queue = 0}), "max_queue: is 0, must be at least 1");
  EXPECT_ERROR(make({.max_batch = -1}), "max_batch: is -1, must be at least 1");
  EXPECT_ERROR(make({.prefill_chunk = 0}), "prefill_chunk: is 0, must be at least 1");
  EXPECT_ERROR(make({.context = -5}), "context: is -5, must be 0");
  EXPECT_ERROR(make({.kv_budget_B = 10}), "but 32 tokens of this model need");
  Engine engine(tiny.model, *tiny.tokenizer, tiny.pool, {});
  EXPECT_EQ(engine.options().context, 512);
  EXPECT_ERROR(engine.Submit({{.prompt = {1}, .sampler = {.temperature = -1}}}, {}, NotCancelled()),
               "temperature: is -1");
}

}  // namespace
}  // namespace ecld
