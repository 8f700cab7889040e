#pragma once
// One pool of worker threads for data-parallel loops. A worker that has nothing to do looks for the next loop for some
// tens of microseconds (a model runs hundreds of short loops one after another) and then sleeps; an idle pool takes no
// processor time. Where the pool has more threads than the process has cores, workers sleep at once.

#include <algorithm>
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
    Run({.call = CallOf<Body>(), .body = Address(body), .count = count, .chunk = chunk});
  }

  // As ParallelFor, but a thread goes through its part in pieces, and when it is done takes pieces from the ends of the
  // others', so that a core which is slower, or which others use too, does less. Which thread runs what differs from
  // run to run: for bodies whose result does not depend on it. REQUIRES: count < 2^32.
  template <class Body>
  void ShareOut(int64_t count, int64_t min_chunk, Body&& body) {
    if (count <= 0) return;
    const int64_t chunk = Chunk(count, min_chunk);
    if (chunk >= count) return static_cast<void>(body(int64_t{0}, count));
    const int64_t piece = std::max<int64_t>(1, chunk / kPiecesPerThread);
    Run({.call = CallOf<Body>(), .body = Address(body), .count = count, .chunk = chunk, .piece = piece});
  }

 private:
  struct Loop {
    void (*call)(void* body, int64_t begin, int64_t end) = nullptr;
    void* body = nullptr;
    int64_t count = 0, chunk = 0;  // the i-th chunk is thread i's
    int64_t piece = 0;             // of a chunk, that may go to another thread; 0: the chunk is run at once
  };
  // What is left of a thread's chunk: its begin in the upper half of the word, its end in the lower.
  struct alignas(64) Left {
    std::atomic<uint64_t> range = 0;
    bool Take(int64_t piece, bool front, int64_t* begin, int64_t* end);
  };
  static constexpr int64_t kPiecesPerThread = 16;

  template <class Body>
  static auto CallOf() {
    return [](void* of, int64_t begin, int64_t end) { (*static_cast<std::remove_reference_t<Body>*>(of))(begin, end); };
  }
  template <class Body>
  static void* Address(Body& body) {
    return const_cast<std::remove_const_t<Body>*>(&body);
  }

  int64_t Chunk(int64_t count, int64_t min_chunk) const;
  void Run(const Loop& loop);
  void RunChunk(int index);
  void RunPieces(int index);
  void Work(int index);
  uint32_t AwaitLoop(uint32_t seen);
  void AwaitWorkers();

  std::vector<std::thread> workers_;
  std::vector<Left> left_;  // of each thread
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
