// The fixed point of DCF against published figures and against the protocol itself, slot by slot; Wi-Fi as a network.

#include "offload/wifi.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/yaml_reader.h"
#include "offload/simulator.h"
#include "offload/stations.h"
#include "tests/offload/small_world.h"
#include "tests/testing/expect_error.h"

namespace ecld::offload {
namespace {

// Bianchi 2000, table I: frames of 8184 bits at 1 Mbit/s, in microseconds.
constexpr DcfTiming kBasic{.slot = 50, .success = 8982, .collision = 8713, .payload = 8184};
constexpr DcfTiming kRtsCts{.slot = 50, .success = 9568, .collision = 417, .payload = 8184};

struct Known {
  DcfTiming timing;
  double least;
  int64_t doublings;
  std::vector<std::pair<int64_t, double>> throughput;  // by stations
};

TEST(Dcf, GivesThePublishedThroughputOfThePaper) {
  const std::vector<Known> known = {
      {kBasic, 32, 3, {{2, .8473}, {5, .8097}, {10, .7532}, {20, .6788}, {30, .6273}, {50, .5529}}},
      {kBasic, 32, 5, {{5, .8102}, {10, .7579}, {20, .6975}, {50, .6109}}},
      {kBasic, 128, 3, {{5, .8250}, {10, .8263}, {20, .7981}, {50, .7252}}},
      {kRtsCts, 32, 3, {{5, .8342}, {10, .8371}, {20, .8356}, {50, .8270}}},
      {kRtsCts, 128, 3, {{5, .7979}, {10, .8217}, {50, .8363}}}};
  for (const Known& each : known)
    for (const auto& [stations, throughput] : each.throughput)
      EXPECT_NEAR(SolveDcf(stations, {each.least, each.doublings}, each.timing).throughput, throughput, 1e-4)
          << each.least << " " << each.doublings << " " << stations;
  const DcfPoint ten = SolveDcf(10, {32, 3}, kBasic);
  EXPECT_NEAR(ten.tau, 0.03869, 1e-5);
  EXPECT_NEAR(ten.p, 0.29888, 1e-5);
}

// 802.11ax at 20 MHz, frames of 1500 bytes, EIFS after a collision, in microseconds: ns-3's wifi-bianchi table.
TEST(Dcf, GivesThePublishedThroughputOf80211ax) {
  struct Mode {
    double bits_per_symbol, ack_bits_per_symbol;
    std::vector<double> Mbps;  // of 5, 10, 50 stations
  };
  for (const Mode& mode : {Mode{117, 24, {6.3381, 5.8172, 4.6317}}, Mode{1170, 96, {34.1710, 31.9398, 26.0271}},
                           Mode{1950, 96, {41.8065, 39.2749, 32.2164}}}) {
    const double data = 44 + 13.6 * std::ceil(12326 / mode.bits_per_symbol);
    const double acknowledged = data + 0.1 + 16 + (20 + 4 * std::ceil(134 / mode.ack_bits_per_symbol)) + 34;
    const DcfTiming timing{.slot = 9, .success = acknowledged + 9, .collision = acknowledged, .payload = 12000};
    const int64_t stations[] = {5, 10, 50};
    for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(SolveDcf(stations[i], {16, 6}, timing).throughput, mode.Mbps[i], 1e-3);
  }
}

struct Observed {
  double throughput, access_s;
};

// Every station draws a slot of its window, counts down slot by slot, sends at 0 and doubles the window when another
// does too. A slot is as long as what happens in it.
Observed RunProtocol(int64_t stations, const DcfWindow& window, const DcfTiming& timing, int64_t slots) {
  Random random(7);
  struct Station {
    int64_t stage = 0;
    uint64_t left = 0;
    double since_s = 0;
  };
  std::vector<Station> all(static_cast<size_t>(stations));
  const auto draw = [&](Station& station) {
    station.left = random.Below(static_cast<uint64_t>(window.least) << station.stage);
  };
  for (Station& station : all) draw(station);
  double now_s = 0, waited_s = 0;
  int64_t through = 0;
  for (int64_t slot = 0; slot < slots; ++slot) {
    int64_t sending = 0;
    for (const Station& station : all) sending += station.left == 0;
    now_s += sending == 0 ? timing.slot : sending == 1 ? timing.success : timing.collision;
    through += sending == 1;
    for (Station& station : all) {
      if (station.left > 0) {
        --station.left;
        continue;
      }
      station.stage = sending == 1 ? 0 : std::min(station.stage + 1, window.doublings);
      if (sending == 1) {
        waited_s += now_s - station.since_s;
        station.since_s = now_s;
      }
      draw(station);
    }
  }
  const auto sent = static_cast<double>(through);
  return {.throughput = sent * timing.payload / now_s, .access_s = waited_s / sent};
}

TEST(Dcf, IsWithinTwoPercentOfTheProtocolSlotBySlot) {
  const DcfTiming wifi = WifiTiming({}), without = WifiTiming({.rts = false});
  struct Case {
    DcfWindow window;
    DcfTiming timing;
  };
  for (const Case& each : {Case{{32, 3}, kBasic}, Case{{32, 5}, kRtsCts}, Case{{16, 6}, wifi}, Case{{16, 6}, without}})
    for (const int64_t stations : {2, 5, 10, 20, 35, 50}) {
      const Observed seen = RunProtocol(stations, each.window, each.timing, 4'000'000 / stations);
      const DcfPoint point = SolveDcf(stations, each.window, each.timing);
      EXPECT_NEAR(point.throughput / seen.throughput, 1, 0.02) << stations << " stations, W " << each.window.least;
      EXPECT_NEAR(point.access_s / seen.access_s, 1, 0.02) << stations << " stations, W " << each.window.least;
    }
}

TEST(Dcf, OneStationWaitsOnlyForItsOwnWindow) {
  const DcfPoint one = SolveDcf(1, {16, 6}, {.slot = 9e-6, .success = 1e-3, .collision = 1, .payload = 1});
  EXPECT_DOUBLE_EQ(one.p, 0);
  EXPECT_NEAR(one.access_s, 1e-3 + 7.5 * 9e-6, 1e-12) << "half of 15 slots";
}

TEST(Wifi, RatesAreThoseOfTheStandard) {
  const auto at_dB = [](double dB) { return std::pow(10, dB / 10); };
  EXPECT_NEAR(WifiRate(20, at_dB(40)), 143.4e6, 0.05e6);
  EXPECT_NEAR(WifiRate(40, at_dB(40)), 286.8e6, 0.05e6);
  EXPECT_NEAR(WifiRate(80, at_dB(28)), 360.3e6, 0.05e6);
  EXPECT_NEAR(WifiRate(20, at_dB(9.5)), 8.6e6, 0.05e6);
  EXPECT_NEAR(WifiRate(20, at_dB(-1)), 0.86e6, 0.005e6) << "ten repeats of the slowest";
}

LoadNetwork Read(const std::string& yaml) {
  Options options(ReadYaml(yaml, "net.yaml"), "net.yaml", "network");
  LoadNetwork load = ReadWifi(options);
  options.Finish();
  return load;
}

TEST(Wifi, BandsGoInWholeBurstsAndCellsShareAChannel) {
  const auto network = Read("{channels: 2, area_m: 20, shadow_dB: 0}")()({4, 4}, 1);
  EXPECT_EQ(network->BandOf(0), network->BandOf(2));
  EXPECT_NE(network->BandOf(0), network->BandOf(1));
  const Link link = network->At(1, 2, 0);
  EXPECT_GT(link.burst_bits, 1e4);
  EXPECT_DOUBLE_EQ(BitsOnAir(link, 10), link.burst_bits);
  EXPECT_DOUBLE_EQ(BitsOnAir(link, 1.5 * link.burst_bits), 2 * link.burst_bits);
  // A burst alone takes as long as the air takes to be had.
  const DcfPoint alone = SolveDcf(1, {16, 6}, WifiTiming({}));
  EXPECT_NEAR(BitsOnAir(link, 10) / ShareOf(link, 1), alone.access_s, 1e-9);
  EXPECT_NEAR(link.rtt_s, 0.001 + alone.access_s, 1e-12);

  // Two senders to two servers of one channel take as long as two to one server.
  const auto sent_at = [&](size_t second_server) {
    BandStation band(network.get());
    band.Submit(0, 0, 0, 1e6, 0);
    band.Submit(1, 0, second_server, 1e6, 0);
    return band.next();
  };
  EXPECT_GT(sent_at(0), FromSeconds(1e6 / ShareOf(network->At(0, 0, 0), 1)));
  EXPECT_EQ(Read("{}")()({1, 3}, 1)->BandOf(2), 2u);
}

TEST(Wifi, CarriesAWholeScenario) {
  const SmallWorld small(kPhoneModel, kEdgeModel);
  const std::vector<std::string> wifi = {"network={kind: wifi, area_m: 50}", "devices.0.count=6", "policies=[nearest]"};
  const World world = small.Load(wifi);
  const RunResult run = Simulate(world, "nearest", {.seed = 3});
  EXPECT_EQ(run.arrived, run.completed);
  EXPECT_TRUE(run.littles_law);
  EXPECT_GT(run.air_use, 0);
  EXPECT_EQ(Simulate(world, "nearest", {.seed = 3}).latency_sum_s, run.latency_sum_s);
}

TEST(Wifi, RefusesWhatCannotBe) {
  EXPECT_ERROR(Read("{band_MHz: 30}"), "net.yaml:1: network.band_MHz: is 30; 20, 40, 80 or 160 would be right");
  EXPECT_ERROR(Read("{burst_ms: 9}"), "network.burst_ms: expected a number from 0.05 to 5.484");
  EXPECT_ERROR(Read("{least_window: 1}"), "network.least_window: expected a whole number from 2");
  EXPECT_ERROR(Read("{rtss: true}"), "unknown key \"rtss\" (did you mean rts?)");
}

}  // namespace
}  // namespace ecld::offload
