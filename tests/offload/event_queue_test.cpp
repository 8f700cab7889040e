// The bare engine: order of events, and the mean waits of queues that have a closed form.

#include "offload/event_queue.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/intervals.h"
#include "tests/offload/single_queue.h"

namespace ecld::offload {
namespace {

TEST(EventQueue, ComesByTimeThenAsAdded) {
  EventQueue<int> queue;
  for (int i = 0; i < 1000; ++i) queue.Add(i * 7919 % 100, i);
  Nanoseconds before = 0;
  int last = -1;
  for (int i = 0; i < 1000; ++i) {
    const int event = queue.Next();
    EXPECT_EQ(queue.now(), event * 7919 % 100);
    EXPECT_TRUE(queue.now() > before || event > last) << "events of one time out of order";
    before = queue.now();
    last = event;
  }
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.handled(), 1000u);
}

TEST(EventQueue, StreamsOfEntitiesDiffer) {
  EXPECT_NE(StreamOf(1, Draws::kItems, 0).Next(), StreamOf(1, Draws::kItems, 1).Next());
  EXPECT_NE(StreamOf(1, Draws::kItems, 0).Next(), StreamOf(1, Draws::kArrivals, 0).Next());
  EXPECT_NE(StreamOf(1, Draws::kItems, 0).Next(), StreamOf(2, Draws::kItems, 0).Next());
  EXPECT_NE(StreamOf(1, Draws::kItems, 0, 1).Next(), StreamOf(1, Draws::kItems, 1, 0).Next());
  EXPECT_EQ(StreamOf(7, Draws::kItems, 3, 1).Next(), StreamOf(7, Draws::kItems, 3, 1).Next());
}

// Pollaczek and Khinchine: the mean wait is rate * E[S^2] / (2 (1 - rho)). Ten independent runs give its interval.
template <class Service>
void ExpectMeanWait(double rate, double mean_s, double second_moment, const Service& service) {
  constexpr int kRuns = 10;
  std::vector<double> waits;
  for (int run = 0; run < kRuns; ++run) {
    const SingleQueueResult result = RunSingleQueue(rate, 400'000, static_cast<uint64_t>(run + 1), service);
    EXPECT_EQ(result.served, 400'000);
    waits.push_back(result.mean_wait_s);
  }
  const double expected = rate * second_moment / (2 * (1 - rate * mean_s));
  const MeanInterval mean = StudentInterval(waits);
  EXPECT_NEAR(mean.mean / expected, 1, 0.01);
  EXPECT_LT(mean.low, expected);
  EXPECT_GT(mean.high, expected);
}

TEST(EventQueue, MeanWaitsAreThoseOfTheClosedForms) {
  ExpectMeanWait(0.5, 1, 2, [](Random& random) { return Exponential(random, 1); });  // M/M/1
  ExpectMeanWait(0.5, 1, 1, [](Random&) { return 1.0; });                            // M/D/1
  // M/G/1: short or long, as answers are.
  ExpectMeanWait(0.5, 1, 0.75 * 0.0625 + 0.25 * 10.5625,
                 [](Random& random) { return random.Uniform() < 0.75 ? 0.25 : 3.25; });
}

}  // namespace
}  // namespace ecld::offload
