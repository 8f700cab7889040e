#include "core/threads.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace ecld {
namespace {

// Longer than the serial work between two loops of a decoding step, far shorter than anybody notices.
constexpr std::chrono::microseconds kSpin{50};

int UsableCores() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

// Looks at done for kSpin. Returns whether it came true.
template <class Done>
bool Spin(const Done& done) {
  constexpr int kLooksPerClock = 32;
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < kLooksPerClock; ++i) {
      if (done()) return true;
      Pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  const int cores = UsableCores(), total = threads > 0 ? threads : cores;
  spins_ = total <= cores;
  left_ = std::vector<Left>(static_cast<size_t>(total));
  for (int i = 1; i < total; ++i) workers_.emplace_back([this, i] { Work(i); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    ++generation_;
  }
  wake_.notify_all();
  for (auto& worker : workers_) worker.join();
}

int64_t ThreadPool::Chunk(int64_t count, int64_t min_chunk) const {
  return std::max((count + size() - 1) / size(), std::max<int64_t>(1, min_chunk));
}

// The orders of generation_ and sleepers_, and of pending_ and caller_sleeps_, are sequentially consistent: whoever
// goes to sleep has said so before looking a last time, and whoever has something to say looks for sleepers after
// having said it, so one of the two sees the other.
void ThreadPool::Run(const Loop& loop) {
  loop_ = loop;
  error_ = nullptr;
  if (loop.piece > 0)
    for (int64_t i = 0; i < size(); ++i) {
      const int64_t begin = std::min(loop.count, i * loop.chunk), end = std::min(loop.count, begin + loop.chunk);
      left_[static_cast<size_t>(i)].range.store(static_cast<uint64_t>(begin) << 32 | static_cast<uint64_t>(end),
                                                std::memory_order_relaxed);
    }
  pending_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
  ++generation_;
  if (sleepers_ > 0) {
    { std::lock_guard lock(mutex_); }
    wake_.notify_all();
  }
  RunChunk(0);
  AwaitWorkers();
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void ThreadPool::AwaitWorkers() {
  const auto done = [this] { return pending_ == 0; };
  if (spins_ && Spin(done)) return;
  std::unique_lock lock(mutex_);
  caller_sleeps_ = true;
  finished_.wait(lock, done);
  caller_sleeps_ = false;
}

uint32_t ThreadPool::AwaitLoop(uint32_t seen) {
  const auto next = [&] { return generation_ != seen; };
  if (!spins_ || !Spin(next)) {
    std::unique_lock lock(mutex_);
    ++sleepers_;
    wake_.wait(lock, next);
    --sleepers_;
  }
  return generation_;
}

void ThreadPool::Work(int index) {
  uint32_t seen = 0;
  while (true) {
    seen = AwaitLoop(seen);
    if (stop_) return;
    RunChunk(index);
    if (--pending_ == 0 && caller_sleeps_) {
      { std::lock_guard lock(mutex_); }
      finished_.notify_one();
    }
  }
}

void ThreadPool::RunChunk(int index) {
  try {
    if (loop_.piece > 0) return RunPieces(index);
    const int64_t begin = index * loop_.chunk;
    if (begin < loop_.count) loop_.call(loop_.body, begin, std::min(loop_.count, begin + loop_.chunk));
  } catch (...) {
    std::lock_guard lock(mutex_);
    if (!error_) error_ = std::current_exception();
  }
}

// A thread's own part from its front, so that it walks through memory in order; those of others from their backs.
void ThreadPool::RunPieces(int index) {
  int64_t begin, end;
  for (int i = 0; i < size(); ++i) {
    Left& left = left_[static_cast<size_t>((index + i) % size())];
    while (left.Take(loop_.piece, i == 0, &begin, &end)) loop_.call(loop_.body, begin, end);
  }
}

bool ThreadPool::Left::Take(int64_t piece, bool front, int64_t* begin, int64_t* end) {
  uint64_t seen = range.load(std::memory_order_relaxed);
  while (true) {
    const auto first = static_cast<int64_t>(seen >> 32), last = static_cast<int64_t>(seen & 0xffffffffu);
    if (first >= last) return false;
    *begin = front ? first : std::max(first, last - piece);
    *end = front ? std::min(last, first + piece) : last;
    const auto rest = front ? static_cast<uint64_t>(*end) << 32 | static_cast<uint64_t>(last)
                            : static_cast<uint64_t>(first) << 32 | static_cast<uint64_t>(*begin);
    if (range.compare_exchange_weak(seen, rest, std::memory_order_relaxed)) return true;
  }
}

}  // namespace ecld
