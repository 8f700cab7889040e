#include "core/threads.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <stdexcept>
#include <thread>
#include <vector>

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

TEST(Threads, SharedOutEveryPlaceIsRunOnce) {
  for (int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (int64_t count : {0, 1, 3, 16, 97, 5000}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(count));
      for (int i = 0; i < 200; ++i)
        pool.ShareOut(count, 2, [&](int64_t begin, int64_t end) {
          ASSERT_LT(begin, end);
          for (int64_t at = begin; at < end; ++at) ++runs[static_cast<size_t>(at)];
        });
      for (const auto& run : runs) ASSERT_EQ(run, 200) << threads << " threads, " << count;
    }
  }
}

TEST(Threads, WhoIsSlowDoesLess) {
  ThreadPool pool(2);
  const auto caller = std::this_thread::get_id();
  std::atomic<int64_t> by_caller = 0, by_other = 0;
  pool.ShareOut(100, 1, [&](int64_t begin, int64_t end) {
    const bool slow = std::this_thread::get_id() == caller;
    std::this_thread::sleep_for(std::chrono::milliseconds(slow ? 20 : 1));
    (slow ? by_caller : by_other) += end - begin;
  });
  EXPECT_EQ(by_caller + by_other, 100);
  EXPECT_GT(by_other, 60);
  EXPECT_GT(by_caller, 0);
}

TEST(Threads, WhatAPieceThrowsReachesTheCaller) {
  ThreadPool pool(3);
  EXPECT_THROW(pool.ShareOut(90, 1,
                             [](int64_t begin, int64_t) {
                               if (begin > 50) throw std::runtime_error("piece");
                             }),
               std::runtime_error);
  EXPECT_EQ(SumOf(pool, 64), 64);
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
