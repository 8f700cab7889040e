#include "core/threads.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>

namespace ecld {
namespace {

double ProcessCpuMs() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
}

int64_t SumOf(ThreadPool& pool, int64_t count) {
  std::atomic<int64_t> sum = 0;
  pool.ParallelFor(count, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
  return sum;
}

TEST(Threads, ChunksAreNeverSmallerThanAsked) {
  ThreadPool pool(4);
  std::atomic<int64_t> calls = 0;
  pool.ParallelFor(100, 60, [&](int64_t begin, int64_t end) {
    ++calls;
    EXPECT_EQ(begin % 60, 0);
    EXPECT_EQ(end, std::min<int64_t>(100, begin + 60));
  });
  EXPECT_EQ(calls, 2);
}

// One loop right after the other, where workers have not gone to sleep, and with pauses, where they have.
TEST(Threads, LoopsFollowEachOtherAwakeAndAsleep) {
  for (int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (int i = 0; i < 3000; ++i) ASSERT_EQ(SumOf(pool, 64), 64);
    for (int i = 0; i < 30; ++i) {
      std::this_thread::sleep_for(std::chrono::microseconds(i * 20));
      ASSERT_EQ(SumOf(pool, 64), 64);
    }
  }
}

TEST(Threads, AnIdlePoolTakesNoProcessorTime) {
  ThreadPool pool(4);
  EXPECT_EQ(SumOf(pool, 100), 100);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));  // until the workers have gone to sleep
  const double before_ms = ProcessCpuMs();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(ProcessCpuMs() - before_ms, 20);
}

}  // namespace
}  // namespace ecld
