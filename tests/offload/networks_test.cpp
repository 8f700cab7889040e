// Links over time: each kind by what it promises.

#include "offload/networks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/files.h"
#include "core/yaml_reader.h"
#include "offload/reading.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld::offload {
namespace {

constexpr Nanoseconds kStep = 100'000'000;

LoadNetwork Read(const std::string& yaml) {
  Options options(ReadYaml(yaml, "net.yaml"), "net.yaml", "network");
  LoadNetwork load = KindIn(NetworkKinds(), options).read(options);
  options.Finish();
  return load;
}

std::unique_ptr<Network> Start(const std::string& yaml, const NetworkSize& size, uint64_t seed = 1) {
  return Read(yaml)()(size, seed);
}

TEST(Networks, ConstantStays) {
  const auto network = Start("{kind: constant, up_Mbps: 8, down_Mbps: 80, rtt_ms: 15}", {2, 2});
  const Link link = network->At(1, 1, 5 * kStep);
  EXPECT_EQ(link.up_bps, 8e6);
  EXPECT_EQ(link.down_bps, 80e6);
  EXPECT_EQ(link.rtt_s, 0.015);
  EXPECT_EQ(ShareOf(link, 4), 2e6);
  EXPECT_EQ(network->NextChange(0), kLongestNs);
  EXPECT_EQ(
      ShareOf(Start("{kind: constant, up_Mbps: 8, down_Mbps: 8, rtt_ms: 0, shared: false}", {1, 1})->At(0, 0, 0), 4),
      8e6);
}

constexpr const char* kRadio = "{kind: radio, band_MHz: 20, rtt_ms: 5, shadow_dB: 0, fading: 0.9, exponent: 3}";

TEST(Networks, RadioFadesAroundItsMeanAndRemembers) {
  const auto network = Start(kRadio, {1, 1});
  std::vector<double> snr;
  for (int64_t step = 0; step < 100'000; ++step) snr.push_back(network->At(0, 0, step * kStep).snr);
  double mean = 0, square = 0, lagged = 0;
  for (const double value : snr) mean += value / 100'000;
  for (size_t i = 0; i + 1 < snr.size(); ++i) {
    square += (snr[i] - mean) * (snr[i] - mean);
    lagged += (snr[i] - mean) * (snr[i + 1] - mean);
  }
  EXPECT_NEAR(std::sqrt(square / 100'000) / mean, 1, 0.05) << "an exponential's deviation is its mean";
  EXPECT_NEAR(lagged / square, 0.81, 0.03) << "the power's correlation is the amplitude's, squared";
}

TEST(Networks, RadioIsShannonsRateOfAShareOfTheBand) {
  const auto network = Start(kRadio, {1, 1});
  const Link link = network->At(0, 0, 0);
  EXPECT_NEAR(link.up_bps, 20e6 * std::log2(1 + link.snr), 1);
  EXPECT_NEAR(ShareOf(link, 4), 5e6 * std::log2(1 + 4 * link.snr), 1)
      << "a quarter of the band has a quarter of the noise";
  EXPECT_GT(4 * ShareOf(link, 4), link.up_bps);
}

TEST(Networks, ALinkTakesTheSameCourseWhoeverLooks) {
  for (const char* yaml : {kRadio,
                           "{kind: markov, regimes: [{up_Mbps: 1, down_Mbps: 1, rtt_ms: 1, mean_s: 1}, {up_Mbps: "
                           "2, down_Mbps: 1, rtt_ms: 1, mean_s: 1}]}"}) {
    const auto often = Start(yaml, {2, 2}, 7), seldom = Start(yaml, {2, 2}, 7);
    for (int64_t step = 0; step < 500; ++step) often->At(1, 0, step * kStep);
    EXPECT_EQ(often->At(1, 0, 500 * kStep).up_bps, seldom->At(1, 0, 500 * kStep).up_bps);
    EXPECT_EQ(often->At(0, 1, 500 * kStep).up_bps, seldom->At(0, 1, 500 * kStep).up_bps);
    EXPECT_EQ(often->NextChange(kStep), 2 * kStep);
    EXPECT_EQ(often->NextChange(kStep + 1), 2 * kStep);
  }
}

TEST(Networks, RegimesMayBeThoseOfAllLinks) {
  for (const bool together : {false, true}) {
    const auto network =
        Start(fmt::format("{{kind: markov, together: {}, regimes: [{{up_Mbps: 1, down_Mbps: 1, rtt_ms: 1, mean_s: 1}}, "
                          "{{up_Mbps: 2, down_Mbps: 1, rtt_ms: 1, mean_s: 1}}]}}",
                          together),
              {2, 2});
    int64_t differ = 0, changes = 0;
    for (int64_t step = 0; step < 1000; ++step) {
      const double first = network->At(0, 0, step * kStep).up_bps;
      differ += first != network->At(1, 1, step * kStep).up_bps;
      changes += first == 1e6;
    }
    EXPECT_EQ(differ == 0, together);
    EXPECT_NEAR(static_cast<double>(changes), 500, 250);
  }
}

TEST(Networks, RegimesLastAsLongAsTheySay) {
  const auto network = Start(
      "{kind: markov, step_ms: 10, regimes: [{up_Mbps: 1, down_Mbps: 1, rtt_ms: 1, mean_s: 3}, {up_Mbps: 2, down_Mbps: "
      "1, "
      "rtt_ms: 1, mean_s: 1}]}",
      {1, 1});
  double in_first = 0;
  constexpr int64_t kSteps = 2'000'000;
  for (int64_t step = 0; step < kSteps; ++step) in_first += network->At(0, 0, step * kStep / 10).up_bps == 1e6 ? 1 : 0;
  EXPECT_NEAR(in_first / kSteps, 0.75, 0.02);
}

TEST(Networks, ATraceIsReplayedFromAPlaceOfItsOwn) {
  TempDir dir;
  const std::string file = (dir / "trace.csv").string();
  WriteFileAtomically(file, "t_s,up_Mbps,down_Mbps,rtt_ms\n0,1,10,5\n1,2,20,6\n2,0,30,7\n");
  const std::string yaml = fmt::format("{{kind: trace, file: {}}}", file);
  const auto network = Start(yaml, {8, 1});
  std::map<double, int> rates;
  for (int64_t step = 0; step < 300; ++step) {
    const Link link = network->At(3, 0, step * kStep);
    ++rates[link.up_bps];
    EXPECT_EQ(link.rtt_s, link.up_bps == 1e6 ? 0.005 : link.up_bps == 2e6 ? 0.006 : 0.007);
  }
  EXPECT_EQ(rates, (std::map<double, int>{{0, 100}, {1e6, 100}, {2e6, 100}}));
  bool differ = false;
  for (size_t device = 1; device < 8; ++device)
    differ |= network->At(device, 0, 0).up_bps != network->At(0, 0, 0).up_bps;
  EXPECT_TRUE(differ);

  const auto refuses = [&](const char* content, const char* why) {
    WriteFileAtomically(file, content);
    EXPECT_ERROR(Start(yaml, {1, 1}), why);
  };
  refuses("t,up,rtt\n", "trace.csv:1: expected the columns t_s,up_Mbps,down_Mbps,rtt_ms, found \"t,up,rtt\"");
  refuses("t_s,up_Mbps,down_Mbps,rtt_ms\n0,1,10,5\n1,2,2",
          "trace.csv:3: has 3 cells, 4 would be right; is the file cut off?");
  refuses("t_s,up_Mbps,down_Mbps,rtt_ms\n0,1,10,5\n1,-2,2,1\n", "trace.csv:3: found -2, expected 0 or more");
  refuses("t_s,up_Mbps,down_Mbps,rtt_ms\n0,1,10,5\n0,2,2,1\n", "trace.csv:3: t_s is 0; times begin at 0 and rise");
  refuses("t_s,up_Mbps,down_Mbps,rtt_ms\n0,x,10,5\n", "trace.csv:2: expected a number, found \"x\"");
  refuses("t_s,up_Mbps,down_Mbps,rtt_ms\n0,1,10,5\n", "has 1 rows; a trace needs two");
  refuses("t_s,up_Mbps,down_Mbps,rtt_ms\n0,0,10,5\n1,0,10,5\n", "up_Mbps is 0 throughout");
}

TEST(Networks, RefusesWhatCannotBe) {
  EXPECT_ERROR(Read("{kind: constant, up_Mbps: -1, down_Mbps: 1, rtt_ms: 1}"),
               "network.up_Mbps: expected a number from");
  EXPECT_ERROR(Read("{kind: constant, down_Mbps: 1, rtt_ms: 1}"), "\"up_Mbps\" is missing");
  EXPECT_ERROR(Read("{kind: constnt}"), "did you mean constant");
  EXPECT_ERROR(Read("{up_Mbps: 1}"), "\"kind\" is missing");
  EXPECT_ERROR(Read("{kind: markov}"), "\"regimes\" is missing");
  EXPECT_ERROR(Read("{kind: radio, band_MHz: 20, rtt_ms: 1, fading: 1}"),
               "network.fading: expected a number from 0 to");
  EXPECT_ERROR(Start("{kind: trace, file: nowhere.csv}", {1, 1}), "nowhere.csv");
}

}  // namespace
}  // namespace ecld::offload
