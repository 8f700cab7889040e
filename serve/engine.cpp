#include "serve/engine.h"

#include <algorithm>
#include <cassert>
#include <exception>
#include <utility>

#include "checkpoint/generation_config.h"
#include "core/error.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/progress.h"
#include "runtime/kv_cache.h"
#include "runtime/score.h"

namespace ecld {
namespace {

void RequirePositive(const char* option, int64_t value) {
  if (value < 1) Fail(option, "is {}, must be at least 1", value);
}

// A cache takes room for whole blocks of tokens.
uint64_t CacheBytes(int64_t tokens, const RuntimeModel& model) {
  return static_cast<uint64_t>(WholeKeyBlocks(tokens)) * KvCache::BytesPerToken(model);
}

EngineOptions Complete(EngineOptions options, const RuntimeModel& model) {
  RequirePositive("max_queue", options.max_queue);
  RequirePositive("max_batch", options.max_batch);
  RequirePositive("prefill_chunk", options.prefill_chunk);
  if (options.context < 0) Fail("context", "is {}, must be 0 (the model's) or a positive number", options.context);
  if (options.kv_budget_B == 0) options.kv_budget_B = AvailableMemoryBytes() / 2;
  const int64_t most = LongestText(model.config());
  options.context = options.context == 0 ? most : std::min(options.context, most);
  if (options.kv_budget_B < CacheBytes(1, model))
    Fail("kv_budget", "is {}, but {} tokens of this model need {}", FormatBytes(options.kv_budget_B), kKeyBlock,
         FormatBytes(CacheBytes(1, model)));
  while (CacheBytes(options.context, model) > options.kv_budget_B)
    options.context = (options.context - 1) / kKeyBlock * kKeyBlock;
  return options;
}

}  // namespace

Engine::Engine(const RuntimeModel& model, const Tokenizer& tokenizer, ThreadPool& pool, const EngineOptions& options)
    : options_(Complete(options, model)),
      model_(model),
      tokenizer_(tokenizer),
      session_(model, pool, options.gemm),
      stop_ids_(EndIds(model.checkpoint().directory(), model.config(), tokenizer.eos())),
      thread_([this] { Loop(); }) {}

Engine::~Engine() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

Engine::Admission Engine::Submit(std::vector<SequenceRequest> requests, Sink sink,
                                 std::shared_ptr<const std::atomic<bool>> cancelled) {
  const auto call = std::make_shared<const Call>(Call{std::move(sink), std::move(cancelled)});
  std::vector<Job> jobs;
  for (SequenceRequest& request : requests) {
    assert(!request.prompt.empty() && request.Positions() <= options_.context);
    jobs.push_back({std::make_unique<Sequence>(std::move(request), model_, tokenizer_, stop_ids_), call, jobs.size()});
  }
  {
    std::lock_guard lock(mutex_);
    if (closed_) return Admission::kClosed;
    if (waiting_.size() + jobs.size() > static_cast<size_t>(options_.max_queue)) return Admission::kQueueFull;
    std::ranges::move(jobs, std::back_inserter(waiting_));
  }
  wake_.notify_all();
  return Admission::kAccepted;
}

void Engine::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
}

void Engine::EndAll() {
  {
    std::lock_guard lock(mutex_);
    closed_ = end_all_ = true;
  }
  wake_.notify_all();
}

Engine::Load Engine::load() const {
  std::lock_guard lock(mutex_);
  return {.running = static_cast<int64_t>(running_.size()),
          .waiting = static_cast<int64_t>(waiting_.size()),
          .kv_reserved_B = kv_reserved_B_};
}

void Engine::Loop() {
  while (AwaitWork()) {
    try {
      if (!running_.empty()) RunBatch();
    } catch (const std::exception& error) {
      // A damaged model, or no memory: it concerns all that ran together.
      LogWarning("a step of {} texts failed: {}", running_.size(), error.what());
      EndRunning(Finish::kFailed, error.what());
    }
  }
}

// Waits for something to run and starts what fits. False: the engine ends.
bool Engine::AwaitWork() {
  std::unique_lock lock(mutex_);
  Drop([](const Job& job) { return job.finished; });
  wake_.wait(lock, [this] { return stop_ || !waiting_.empty() || !running_.empty(); });
  if (stop_) return false;
  if (!std::exchange(end_all_, false)) {
    Drop([](const Job& job) { return job.call->cancelled->load(); });
    Admit();
    return true;
  }
  std::deque<Job> never_started = std::exchange(waiting_, {});
  lock.unlock();
  for (Job& job : never_started) Tell(job, job.sequence->End(Finish::kShutdown, {}));
  EndRunning(Finish::kShutdown, {});
  return AwaitWork();
}

void Engine::EndRunning(Finish finish, const std::string& error) {
  for (Job& job : running_)
    if (!job.finished) Tell(job, job.sequence->End(finish, error));
}

// REQUIRES: the mutex is held.
void Engine::Drop(const std::function<bool(const Job&)>& condition) {
  std::erase_if(waiting_, condition);
  std::erase_if(running_, [&](const Job& job) {
    const bool drop = condition(job);
    if (drop) kv_reserved_B_ -= CacheBytes(job.sequence->request().Positions(), model_);
    return drop;
  });
}

// Starts waiting sequences in order while there is room. REQUIRES: the mutex is held.
void Engine::Admit() {
  while (!waiting_.empty() && running_.size() < static_cast<size_t>(options_.max_batch)) {
    const uint64_t cache_B = CacheBytes(waiting_.front().sequence->request().Positions(), model_);
    if (kv_reserved_B_ + cache_B > options_.kv_budget_B) return;
    kv_reserved_B_ += cache_B;
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

void Engine::RunBatch() {
  std::vector<Piece> pieces;
  std::vector<Job*> jobs;
  int64_t prompt_room = options_.prefill_chunk;
  for (Job& job : running_) {
    const bool prefilling = job.sequence->prefilling();
    if (prefilling && prompt_room == 0) continue;
    const std::span<const int32_t> tokens = job.sequence->NextTokens(prompt_room);
    job.sequence->MakeRoom(static_cast<int64_t>(tokens.size()));
    pieces.push_back({&job.sequence->cache(), tokens, job.sequence->PromptLength()});
    jobs.push_back(&job);
    if (prefilling) prompt_room -= static_cast<int64_t>(tokens.size());
  }

  const auto width = static_cast<size_t>(model_.config().hidden_size);
  std::span<const float> hidden = session_.Forward(pieces);
  last_rows_.clear();
  std::vector<Job*> ready;
  std::vector<std::pair<Job*, std::span<const float>>> to_score;
  for (size_t i = 0; i < jobs.size(); ++i) {
    const std::span<const float> rows = hidden.first(pieces[i].tokens.size() * width);
    hidden = hidden.subspan(rows.size());
    const Sequence& sequence = *jobs[i]->sequence;
    const bool ran_prompt = jobs[i]->sequence->cache().length() <= sequence.PromptLength();
    if (ran_prompt && sequence.request().score_prompt) to_score.emplace_back(jobs[i], rows);
    if (sequence.prefilling()) continue;
    ready.push_back(jobs[i]);
    last_rows_.insert(last_rows_.end(), rows.end() - static_cast<std::ptrdiff_t>(width), rows.end());
  }
  for (const auto& [job, rows] : to_score) ScorePrompt(*job, rows);
  AdvanceAll(ready);
}

// rows: of the prompt tokens that were run last, [tokens, hidden_size]; each predicts the token after it.
void Engine::ScorePrompt(Job& job, std::span<const float> rows) {
  const auto width = static_cast<size_t>(model_.config().hidden_size);
  const auto vocab = static_cast<size_t>(model_.config().vocab_size);
  Sequence& sequence = *job.sequence;
  int64_t position = sequence.cache().length() - static_cast<int64_t>(rows.size() / width) + 1;
  const size_t block = std::max<size_t>(1, kLogitsBytes / (vocab * sizeof(float)));
  while (!rows.empty()) {
    const std::span<const float> some = rows.first(std::min(rows.size(), block * width));
    rows = rows.subspan(some.size());
    logits_.resize(some.size() / width * vocab);
    session_.Logits(some, logits_);
    for (size_t row = 0; row < some.size() / width && position < sequence.PromptLength(); ++row, ++position)
      sequence.ScorePrompt(position, std::span(logits_).subspan(row * vocab, vocab));
  }
}

// jobs: those whose prompt has been run; last_rows_ [jobs, hidden_size].
void Engine::AdvanceAll(const std::vector<Job*>& jobs) {
  const auto width = static_cast<size_t>(model_.config().hidden_size);
  const auto vocab = static_cast<size_t>(model_.config().vocab_size);
  const size_t block = std::max<size_t>(1, kLogitsBytes / (vocab * sizeof(float)));
  for (size_t first = 0; first < jobs.size(); first += block) {
    const size_t count = std::min(block, jobs.size() - first);
    logits_.resize(count * vocab);
    session_.Logits(std::span(last_rows_).subspan(first * width, count * width), logits_);
    for (size_t i = 0; i < count; ++i)
      Tell(*jobs[first + i], jobs[first + i]->sequence->Advance(std::span(logits_).subspan(i * vocab, vocab)));
  }
}

void Engine::Tell(Job& job, SequenceUpdate update) {
  job.finished = update.finish.has_value();
  if (!*job.call->cancelled) job.call->sink(job.index, std::move(update));
}

}  // namespace ecld
