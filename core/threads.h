#pragma once
// One pool of worker threads for data-parallel loops. A worker that has nothing to do looks for the next loop for some
// tens of microseconds (a model runs hundreds of short loops one after another) and then sleeps; an idle pool takes no
// processor time. Where the pool has more threads than the process has cores, workers sleep at once.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace ecld {

class ThreadPool {
 public:
  // threads: total including the caller; 0 = all cores this process may use.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Splits [0, count) into chunks of at least min_chunk and calls body(begin, end) on them from all threads;
  // returns when all are done. The split depends on count, min_chunk and size() only. An exception from body is
  // rethrown here (the first one). Not reentrant: body may not call ParallelFor on the same pool.
  template <class Body>
  void ParallelFor(int64_t count, int64_t min_chunk, Body&& body) {
    if (count <= 0) return;
    const int64_t chunk = Chunk(count, min_chunk);
    if (chunk >= count) return static_cast<void>(body(int64_t{0}, count));
    using Stored = std::remove_reference_t<Body>;
    Run({.call = [](void* of, int64_t begin, int64_t end) { (*static_cast<Stored*>(of))(begin, end); },
         .body = const_cast<std::remove_const_t<Stored>*>(&body),
         .count = count,
         .chunk = chunk});
  }

 private:
  struct Loop {
    void (*call)(void* body, int64_t begin, int64_t end) = nullptr;
    void* body = nullptr;
    int64_t count = 0, chunk = 0;
  };

  int64_t Chunk(int64_t count, int64_t min_chunk) const;
  void Run(const Loop& loop);
  void RunChunk(int index);
  void Work(int index);
  uint32_t AwaitLoop(uint32_t seen);
  void AwaitWorkers();

  std::vector<std::thread> workers_;
  bool spins_;
  Loop loop_;  // written before generation_ is, read after
  std::exception_ptr error_;
  // Each on a line of its own: what one thread writes another one watches.
  alignas(64) std::atomic<uint32_t> generation_ = 0;  // of loops; one more: stop
  alignas(64) std::atomic<int> pending_ = 0;          // workers that have not finished the loop
  alignas(64) std::atomic<int> sleepers_ = 0;         // workers that must be woken
  std::atomic<bool> caller_sleeps_ = false, stop_ = false;
  std::mutex mutex_;
  std::condition_variable wake_, finished_;
};

}  // namespace ecld
