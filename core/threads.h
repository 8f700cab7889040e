#pragma once
// One pool of worker threads for data-parallel loops. Workers sleep between loops.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
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
  void ParallelFor(int64_t count, int64_t min_chunk, const std::function<void(int64_t begin, int64_t end)>& body);

 private:
  void Work(int index);
  void RunChunk(int index);

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, finished_;
  uint64_t generation_ = 0;
  int pending_ = 0;
  bool stop_ = false;
  int64_t count_ = 0, chunk_ = 0;
  const std::function<void(int64_t, int64_t)>* body_ = nullptr;
  std::exception_ptr error_;
};

}  // namespace ecld
