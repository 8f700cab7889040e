#include "core/threads.h"

#include <sched.h>

#include <algorithm>
#include <utility>

namespace ecld {
namespace {

int UsableCores() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  int total = threads > 0 ? threads : UsableCores();
  for (int i = 1; i < total; ++i) workers_.emplace_back([this, i] { Work(i); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::ParallelFor(int64_t count, int64_t min_chunk, const std::function<void(int64_t, int64_t)>& body) {
  if (count <= 0) return;
  int64_t chunk = std::max((count + size() - 1) / size(), std::max<int64_t>(1, min_chunk));
  if (chunk >= count) return body(0, count);
  {
    std::lock_guard lock(mutex_);
    count_ = count;
    chunk_ = chunk;
    body_ = &body;
    error_ = nullptr;
    pending_ = static_cast<int>(workers_.size());
    ++generation_;
  }
  wake_.notify_all();
  RunChunk(0);
  std::unique_lock lock(mutex_);
  finished_.wait(lock, [this] { return pending_ == 0; });
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void ThreadPool::Work(int index) {
  uint64_t seen = 0;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stop_ || generation_ != seen; });
      if (stop_) return;
      seen = generation_;
    }
    RunChunk(index);
    std::lock_guard lock(mutex_);
    if (--pending_ == 0) finished_.notify_one();
  }
}

void ThreadPool::RunChunk(int index) {
  int64_t begin = index * chunk_;
  int64_t end = std::min(count_, begin + chunk_);
  if (begin >= end) return;
  try {
    (*body_)(begin, end);
  } catch (...) {
    std::lock_guard lock(mutex_);
    if (!error_) error_ = std::current_exception();
  }
}

}  // namespace ecld
