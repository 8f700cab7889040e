// Where requests spend time, by hand.

#include "offload/stations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/offload/small_world.h"

namespace ecld::offload {
namespace {

using testing::ElementsAre;

constexpr Nanoseconds kMs = 1'000'000;

struct Came {
  double at_ms;
  int64_t answer_tok;
};

// When each of the requests is answered, in ms, by a server of 10 ms for a prompt and 1 ms for a step.
std::vector<double> AnsweredMs(const std::vector<Came>& came, int64_t batch, double cache_B) {
  TempDir dir;
  WriteProfile(dir / "server", ProfileOf({.id = "m", .prompt_ms = 10, .step_ms = 1}));
  PhaseTimes times(LoadModel((dir / "server").string(), "", "test", {}), {});
  BatchStation station(&times, batch, cache_B);
  std::vector<double> answered(came.size(), -1);
  const auto proceed = [&](Nanoseconds until) {
    while (station.next() <= until) {
      const Nanoseconds now = station.next();
      std::vector<RequestId> through;
      station.Proceed(now, &through);
      for (const RequestId id : through) answered[id] = static_cast<double>(now) / kMs;
    }
  };
  for (size_t i = 0; i < came.size(); ++i) {
    const Nanoseconds at = FromSeconds(came[i].at_ms / 1000);
    proceed(at);
    station.Submit({static_cast<RequestId>(i), 100, came[i].answer_tok}, at);
  }
  proceed(kLongestNs - 1);
  return answered;
}

TEST(BatchStation, AnswersTenRequestsAsByHand) {
  // 0: prompts of 0 and 1 until 20; 1 is done after three steps, then the prompt of 2 until 33, 0 at 35, 2 at 37.
  // 50: prompts of 3 and 4 until 70; 3 at 72; the prompt of 5 until 82, 5 at 83, 4 has seven steps left.
  // 200: prompts of 6 and 7 until 220, both at 223; 8 until 236. 300: alone.
  const std::vector<Came> came = {{0, 5},  {0, 3},   {1, 4},   {50, 2},  {51.5, 10},
                                  {62, 1}, {200, 3}, {200, 3}, {200, 3}, {300, 1}};
  EXPECT_THAT(AnsweredMs(came, 2, 1e9), ElementsAre(35, 23, 37, 72, 90, 83, 223, 223, 236, 311));
}

TEST(BatchStation, JoinsAtTheEndOfAStep) {
  // The third step of 0 ends at 13; the prompt of 1 until 23; two steps together, then five of 0.
  EXPECT_THAT(AnsweredMs({{0, 10}, {12.4, 2}}, 4, 1e9), ElementsAre(30, 25));
}

TEST(BatchStation, MemoryOfCachesBoundsTheBatch) {
  const double of_one_B = 128 * (100 + 10);
  EXPECT_THAT(AnsweredMs({{0, 10}, {0, 10}}, 4, 1.5 * of_one_B), ElementsAre(20, 40));
  EXPECT_THAT(AnsweredMs({{0, 10}, {0, 10}}, 4, 2 * of_one_B), ElementsAre(30, 30));
}

class TwoRates : public Network {
 public:
  Link At(size_t device, size_t, Nanoseconds now) override {
    return {.up_bps = (device == 0 ? 1e6 : 2e6) * (now >= 1000 * kMs ? 0 : 1), .down_bps = 1};
  }
  Nanoseconds NextChange(Nanoseconds now) const override { return now < 1000 * kMs ? 1000 * kMs : kLongestNs; }
};

TEST(BandStation, SendersShareAndRatesChange) {
  TwoRates network;
  BandStation band(&network);
  band.Submit(0, 0, 0, 1e5, 0);         // alone 100 ms
  band.Submit(1, 1, 0, 1e5, 50 * kMs);  // from here on, half each: 50 kbit at 0.5 Mbit/s, 100 kbit at 1 Mbit/s
  EXPECT_EQ(band.next(), 150 * kMs);
  std::vector<RequestId> sent;
  band.Proceed(band.next(), &sent);
  EXPECT_THAT(sent, ElementsAre(0, 1)) << "both are through at 150 ms";
  EXPECT_EQ(band.next(), kLongestNs);
  EXPECT_EQ(band.busy_ns(), 150 * kMs);
  band.Submit(2, 0, 0, 1e6, 500 * kMs);
  EXPECT_EQ(band.next(), 1000 * kMs) << "its link changes before it is through";
  sent.clear();
  band.Proceed(band.next(), &sent);
  EXPECT_TRUE(sent.empty());
  EXPECT_EQ(band.next(), kLongestNs) << "nothing gets through any more";
}

TEST(DeviceStation, RunsOneAtATimeAndChangesModels) {
  DeviceStation device({0.5, 2});
  device.Submit({.request = 0, .variant = 0, .run_s = 1, .expected_s = 1}, false, 0);
  device.Submit({.request = 1, .variant = 1, .run_s = 1, .expected_s = 3}, false, 0);
  EXPECT_DOUBLE_EQ(device.WaitSeconds(1, 0), 4);
  EXPECT_DOUBLE_EQ(device.WaitSeconds(0, 0), 4.5) << "the first variant is loaded anew";
  EXPECT_EQ(device.next(), 1000 * kMs);
  EXPECT_EQ(device.Proceed(device.next()), 0u);
  device.Submit({.request = 2, .variant = 0, .run_s = 1}, true, 1000 * kMs);
  EXPECT_EQ(device.next(), 2000 * kMs) << "what goes on comes first";
  EXPECT_EQ(device.Proceed(device.next()), 2u);
  device.Resume(2000 * kMs);
  EXPECT_EQ(device.next(), 5000 * kMs) << "two seconds to load, one to run";
}

}  // namespace
}  // namespace ecld::offload
