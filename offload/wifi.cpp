#include "offload/wifi.h"

#include <cmath>

#include "offload/reading.h"
#include "offload/streams.h"

namespace ecld::offload {
namespace {

struct Scheme {
  double bits_per_symbol;  // of a subcarrier: of the constellation times the code's rate
  double least_snr_dB;     // sensitivity over -91 dBm: thermal noise of 20 MHz and 10 dB
};
constexpr Scheme kSchemes[] = {{0.5, 9},  {1, 12}, {1.5, 14}, {2, 17},        {3, 21},   {4, 25},
                               {4.5, 26}, {5, 27}, {6, 32},   {20.0 / 3, 34}, {7.5, 37}, {25.0 / 3, 39}};
constexpr double kSymbol_s = 13.6e-6;

struct Band {
  int64_t MHz;
  double subcarriers;  // that carry data
};
constexpr Band kBands[] = {{20, 234}, {40, 468}, {80, 980}, {160, 1960}};

class WifiNetwork : public Network {
 public:
  WifiNetwork(const Wifi& wifi, const NetworkSize& size, uint64_t seed)
      : wifi_(wifi), size_(size), contention_(wifi.window, WifiTiming(wifi)) {
    const double noise_W = wifi.power.noise_W_per_Hz * 1e6 * static_cast<double>(wifi.band_MHz);
    const DcfPoint& alone = contention_.Among(1);
    for (size_t i = 0; i < size.devices; ++i)
      for (size_t j = 0; j < size.servers; ++j) {
        const Place place = wifi.path.Anywhere(StreamOf(seed, Draws::kPlaces, 0, i));
        Random shadow = StreamOf(seed, Draws::kFading, i, j);
        const double gain = wifi.path.Gain(place, PlaceOf(j), shadow);
        Link link{.rtt_s = wifi.rtt_s + alone.access_s,  // an answer waits for the air too
                  .snr = wifi.power.send_W * gain / noise_W,
                  .contention = &contention_};
        link.up_bps = WifiRate(wifi.band_MHz, link.snr);
        link.down_bps = WifiRate(wifi.band_MHz, wifi.power.server_W * gain / noise_W) * alone.throughput;
        link.burst_bits = link.up_bps * wifi.burst_s;
        links_.push_back(link);
      }
  }

  Link At(size_t device, size_t server, Nanoseconds) override { return links_[device * size_.servers + server]; }
  Nanoseconds NextChange(Nanoseconds) const override { return kLongestNs; }
  size_t BandOf(size_t server) const override {
    return wifi_.channels > 0 ? server % static_cast<size_t>(wifi_.channels) : server;
  }

 private:
  // In the middle of a field of its own.
  Place PlaceOf(size_t server) const {
    const auto servers = static_cast<double>(size_.servers), number = static_cast<double>(server);
    const double columns = std::ceil(std::sqrt(servers)), rows = std::ceil(servers / columns);
    return wifi_.path.area_m *
           Place((std::fmod(number, columns) + 0.5) / columns, (std::floor(number / columns) + 0.5) / rows);
  }

  Wifi wifi_;
  NetworkSize size_;
  Contention contention_;
  std::vector<Link> links_;  // [devices * servers]
};

}  // namespace

double WifiRate(int64_t band_MHz, double snr) {
  const double snr_dB = 10 * std::log10(snr);
  const Scheme* best = kSchemes;
  for (const Scheme& scheme : kSchemes)
    if (scheme.least_snr_dB <= snr_dB) best = &scheme;
  const double repeats = std::max(1.0, std::pow(10, (best->least_snr_dB - snr_dB) / 10));
  for (const Band& band : kBands)
    if (band.MHz == band_MHz) return band.subcarriers * best->bits_per_symbol / kSymbol_s / repeats;
  return 0;
}

DcfTiming WifiTiming(const Wifi& wifi) {
  constexpr double kPreamble = 44e-6, kSifs = 16e-6, kDifs = 34e-6, kRts = 28e-6, kCts = 28e-6, kBlockAck = 32e-6;
  const double data = kPreamble + wifi.burst_s;
  const double announced = wifi.rts ? kRts + kSifs + kCts + kSifs : 0;
  return {.success = announced + data + kSifs + kBlockAck + kDifs,
          .collision = (wifi.rts ? kRts : data) + kDifs,
          .payload = wifi.burst_s};
}

LoadNetwork ReadWifi(Options& options) {
  Wifi wifi{.path = ReadPathLoss(options), .power = ReadRadioPower(options)};
  wifi.band_MHz = options.Int("band_MHz", wifi.band_MHz, 20, 160, "20, 40, 80 or 160");
  if (WifiRate(wifi.band_MHz, 1) == 0)
    Fail(options.Where("band_MHz"), "is {}; 20, 40, 80 or 160 would be right", wifi.band_MHz);
  wifi.rts = options.Bool("rts", wifi.rts, "whether RTS and CTS go before");
  wifi.burst_s = options.Number("burst_ms", 2, 0.05, 5.484, "of data for whoever wins the air") / 1000;
  wifi.window.least = static_cast<double>(options.Int("least_window", 16, 2, 1024, "slots to draw from at first"));
  wifi.window.doublings = options.Int("window_doublings", 6, 0, 10, "of that, after collisions");
  wifi.channels = options.Int("channels", 0, 0, 4096, "that the servers take in turn; 0: each its own");
  wifi.rtt_s = options.Number("rtt_ms", 1, 0, 1e5, "beyond the air") / 1000;
  return [wifi] {
    return StartNetwork(
        [wifi](const NetworkSize& size, uint64_t seed) { return std::make_unique<WifiNetwork>(wifi, size, seed); });
  };
}

}  // namespace ecld::offload
