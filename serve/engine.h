#pragma once
// Continues many texts at once on one model (continuous batching, Yu et al. 2022, "Orca"): in every step one token of
// each running sequence and a bounded piece of the prompts that wait are run together, and sequences come and go
// between steps. Requests beyond max_batch wait in a bounded queue, first come, first served.
//
//   Engine engine(model, tokenizer, pool, {.max_batch = 8});
//   auto cancelled = std::make_shared<std::atomic<bool>>(false);
//   engine.Submit({request}, [](size_t index, SequenceUpdate update) { ... }, cancelled);
//
// Memory: the caches of running sequences never take more than kv_budget_B, counted when a sequence starts for as long
// as it may become; each grows as it needs to. Results are those of a sequence that runs alone, up to float rounding of
// larger products.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "serve/sequence.h"

namespace ecld {

struct EngineOptions {
  int64_t max_queue = 64;       // sequences that wait
  int64_t max_batch = 16;       // sequences that run
  int64_t context = 0;          // positions of a sequence; 0 = the model's
  int64_t prefill_chunk = 256;  // prompt tokens run in one step: bounds the wait of those that run already
  uint64_t kv_budget_B = 0;     // 0 = half of the memory that is available now
  std::string gemm;             // see Session
};

class Engine {
 public:
  // Called on the engine's thread, in order; must not wait. index: which of the submitted
  // sequences.
  using Sink = std::function<void(size_t index, SequenceUpdate update)>;
  enum class Admission { kAccepted, kQueueFull, kClosed };

  // THROWS Error when an option is out of range or the budget does not hold a single position.
  Engine(const RuntimeModel& model, const Tokenizer& tokenizer, ThreadPool& pool, const EngineOptions& options);
  ~Engine();  // ends what runs, without updates
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // What holds from here on, with the defaults filled in. context is what the model, the option and the budget allow:
  // REQUIRES of a request: Positions() <= context.
  const EngineOptions& options() const { return options_; }

  // All requests or none. Once *cancelled is set (by anyone, at any time) they are dropped at the next step, their
  // memory is freed, and the sink is not called any more. THROWS Error when sampler options are out of range.
  Admission Submit(std::vector<SequenceRequest> requests, Sink sink,
                   std::shared_ptr<const std::atomic<bool>> cancelled);

  // Accepts nothing more; what was accepted goes on.
  void Close();
  // Close, and ends everything with Finish::kShutdown.
  void EndAll();

  struct Load {
    int64_t running = 0, waiting = 0;
    uint64_t kv_reserved_B = 0;
  };
  Load load() const;

 private:
  struct Call {
    Sink sink;
    std::shared_ptr<const std::atomic<bool>> cancelled;
  };
  struct Job {
    std::unique_ptr<Sequence> sequence;
    std::shared_ptr<const Call> call;
    size_t index = 0;
    bool finished = false;
  };

  void Loop();
  bool AwaitWork();
  void Admit();
  void Drop(const std::function<bool(const Job&)>& condition);
  void EndRunning(Finish finish, const std::string& error);
  void RunBatch();
  void ScorePrompt(Job& job, std::span<const float> rows);
  void AdvanceAll(const std::vector<Job*>& jobs);
  void Tell(Job& job, SequenceUpdate update);

  EngineOptions options_;
  const RuntimeModel& model_;
  const Tokenizer& tokenizer_;
  Session session_;
  std::vector<int64_t> stop_ids_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> waiting_;
  std::list<Job> running_;  // only the engine's thread adds and removes; under the mutex, for load()
  uint64_t kv_reserved_B_ = 0;
  bool closed_ = false, end_all_ = false, stop_ = false;
  std::vector<float> last_rows_, logits_;  // of one step
  std::thread thread_;
};

}  // namespace ecld
