#include "offload/networks.h"

#include <cmath>
#include <vector>

#include "offload/csv_columns.h"
#include "offload/path_loss.h"
#include "offload/reading.h"
#include "offload/streams.h"
#include "offload/wifi.h"

namespace ecld::offload {
namespace {

constexpr double kMega = 1e6, kMostMbps = 1e6, kMostMs = 1e5;

double Mbps(Options& options, const char* key) { return kMega * Needed(options, key, kLeast, kMostMbps); }

Link ReadLink(Options& options, bool shared) {
  return {.up_bps = Mbps(options, "up_Mbps"),
          .down_bps = Mbps(options, "down_Mbps"),
          .rtt_s = Needed(options, "rtt_ms", 0, kMostMs) / 1000,
          .shared = shared};
}

bool ReadShared(Options& options) {
  return options.Bool("shared", true, "whether those who send to a server share the rate");
}

Nanoseconds ReadStep(Options& options) {
  return FromSeconds(options.Number("step_ms", 100, 1e-3, kMostMs, "time between changes of a link") / 1000);
}

// Begins a network of a class that is made of these, a size and a seed.
template <class Kind, class... Parts>
StartNetwork Starting(const Parts&... parts) {
  return [parts...](const NetworkSize& size, uint64_t seed) { return std::make_unique<Kind>(parts..., size, seed); };
}

// A network whose links change at whole multiples of a step.
class SteppedNetwork : public Network {
 public:
  SteppedNetwork(const NetworkSize& size, Nanoseconds step) : size_(size), step_(step) {}
  Nanoseconds NextChange(Nanoseconds now) const override { return (now / step_ + 1) * step_; }

 protected:
  size_t Index(size_t device, size_t server) const { return device * size_.servers + server; }
  // make(device, server) of every link, by Index.
  template <class Make>
  auto OfLinks(const Make& make) const {
    std::vector<decltype(make(size_t{}, size_t{}))> made;
    made.reserve(size_.devices * size_.servers);
    for (size_t i = 0; i < size_.devices; ++i)
      for (size_t j = 0; j < size_.servers; ++j) made.push_back(make(i, j));
    return made;
  }
  int64_t StepAt(Nanoseconds now) const { return now / step_; }
  double step_s() const { return Seconds(step_); }

 private:
  NetworkSize size_;
  Nanoseconds step_;
};

class ConstantNetwork : public Network {
 public:
  ConstantNetwork(const Link& link, const NetworkSize&, uint64_t) : link_(link) {}
  Link At(size_t, size_t, Nanoseconds) override { return link_; }
  Nanoseconds NextChange(Nanoseconds) const override { return kLongestNs; }

 private:
  Link link_;
};

LoadNetwork ReadConstant(Options& options) {
  const Link link = ReadLink(options, ReadShared(options));
  return [link] { return Starting<ConstantNetwork>(link); };
}

struct Radio {
  PathLoss path;
  RadioPower power;
  double fading, band_Hz, rtt_s;
  Nanoseconds step;
};

// Path loss, and Rayleigh fading whose amplitude is an AR(1) process: h' = rho h + sqrt(1 - rho^2) w. Devices and
// servers stand anywhere.
class RadioNetwork : public SteppedNetwork {
 public:
  RadioNetwork(const Radio& radio, const NetworkSize& size, uint64_t seed)
      : SteppedNetwork(size, radio.step), radio_(radio) {
    const auto place = [&](uint64_t side, size_t number) {
      return radio.path.Anywhere(StreamOf(seed, Draws::kPlaces, side, number));
    };
    fades_ = OfLinks([&](size_t device, size_t server) {
      Fade fade{.random = StreamOf(seed, Draws::kFading, device, server)};
      fade.gain = radio.path.Gain(place(0, device), place(1, server), fade.random);
      fade.amplitude = Draw(fade.random);
      return fade;
    });
  }

  Link At(size_t device, size_t server, Nanoseconds now) override {
    Fade& fade = fades_[Index(device, server)];
    const double rho = radio_.fading, fresh = std::sqrt(1 - rho * rho);
    for (; fade.step < StepAt(now); ++fade.step) fade.amplitude = rho * fade.amplitude + fresh * Draw(fade.random);
    const double gain_over_noise =
        fade.gain * std::norm(fade.amplitude) / (radio_.power.noise_W_per_Hz * radio_.band_Hz);
    Link link{.rtt_s = radio_.rtt_s, .band_Hz = radio_.band_Hz, .snr = radio_.power.send_W * gain_over_noise};
    link.up_bps = ShareOf(link, 1);
    link.down_bps = radio_.band_Hz * std::log2(1 + radio_.power.server_W * gain_over_noise);
    return link;
  }

 private:
  struct Fade {
    Random random;
    double gain = 0;
    std::complex<double> amplitude = 0;
    int64_t step = 0;
  };

  static std::complex<double> Draw(Random& random) {  // of mean power 1
    const double real = random.Normal();
    return std::sqrt(0.5) * std::complex<double>(real, random.Normal());
  }

  Radio radio_;
  std::vector<Fade> fades_;
};

LoadNetwork ReadRadio(Options& options) {
  const Radio radio{
      .path = ReadPathLoss(options),
      .power = ReadRadioPower(options),
      .fading = options.Number("fading", 0.9, 0, 0.999999, "correlation of the amplitude from step to step"),
      .band_Hz = kMega * Needed(options, "band_MHz", kLeast, 1e5),
      .rtt_s = Needed(options, "rtt_ms", 0, kMostMs) / 1000,
      .step = ReadStep(options)};
  return [radio] { return Starting<RadioNetwork>(radio); };
}

struct Regime {
  Link link;
  double mean_s;
};

// Each link, or all together, stays in a regime for an exponential time, then is in any of the others with the same
// chance.
class MarkovNetwork : public SteppedNetwork {
 public:
  MarkovNetwork(const std::vector<Regime>& regimes, bool together, Nanoseconds step, const NetworkSize& size,
                uint64_t seed)
      : SteppedNetwork(size, step), regimes_(regimes) {
    courses_ = OfLinks([&](size_t device, size_t server) {
      Course course{.random = StreamOf(seed, Draws::kRegimes, together ? 0 : device, together ? 0 : server)};
      course.regime = course.random.Below(regimes.size());
      course.until_s = Exponential(course.random, regimes[course.regime].mean_s);
      return course;
    });
  }

  Link At(size_t device, size_t server, Nanoseconds now) override {
    Course& course = courses_[Index(device, server)];
    const double now_s = static_cast<double>(StepAt(now)) * step_s();
    while (course.until_s <= now_s && regimes_.size() > 1) {
      course.regime = (course.regime + 1 + course.random.Below(regimes_.size() - 1)) % regimes_.size();
      course.until_s += Exponential(course.random, regimes_[course.regime].mean_s);
    }
    return regimes_[course.regime].link;
  }

 private:
  struct Course {
    Random random;
    size_t regime = 0;
    double until_s = 0;
  };

  std::vector<Regime> regimes_;
  std::vector<Course> courses_;
};

LoadNetwork ReadMarkov(Options& options) {
  const bool shared = ReadShared(options);
  const bool together = options.Bool("together", false, "whether all links are in one regime at a time");
  const Nanoseconds step = ReadStep(options);
  std::vector<Regime> regimes;
  for (Options& entry : options.List("regimes", "rates, and how long they last")) {
    regimes.push_back({.link = ReadLink(entry, shared), .mean_s = Needed(entry, "mean_s", 1e-3, 1e9)});
    entry.Finish();
  }
  if (regimes.empty()) Fail(options.Where(), "\"regimes\" is missing: a list of rates");
  return [=] { return Starting<MarkovNetwork>(regimes, together, step); };
}

struct LinkTrace {
  std::vector<double> at_s;  // rising from 0
  std::vector<Link> links;
  double length_s = 0;
};

// Every link replays the trace from a place of its own, over and over.
class ReplayedNetwork : public SteppedNetwork {
 public:
  ReplayedNetwork(std::shared_ptr<const LinkTrace> trace, Nanoseconds step, const NetworkSize& size, uint64_t seed)
      : SteppedNetwork(size, step), trace_(std::move(trace)) {
    starts_s_ = OfLinks([&](size_t device, size_t server) {
      return trace_->length_s * StreamOf(seed, Draws::kRegimes, device, server).Uniform();
    });
  }

  Link At(size_t device, size_t server, Nanoseconds now) override {
    const double s =
        std::fmod(starts_s_[Index(device, server)] + static_cast<double>(StepAt(now)) * step_s(), trace_->length_s);
    const auto after = std::upper_bound(trace_->at_s.begin(), trace_->at_s.end(), s);
    return trace_->links[static_cast<size_t>(after - trace_->at_s.begin()) - 1];
  }

 private:
  std::shared_ptr<const LinkTrace> trace_;
  std::vector<double> starts_s_;
};

LinkTrace LoadLinkTrace(const std::string& file, bool shared) {
  LinkTrace trace;
  ReadColumns(file, {"t_s", "up_Mbps", "down_Mbps", "rtt_ms"},
              [&](const std::vector<double>& row, const std::string& at) {
                if (trace.at_s.empty() ? row[0] != 0 : row[0] <= trace.at_s.back())
                  Fail(at, "t_s is {}; times begin at 0 and rise", row[0]);
                for (const double value : row)
                  if (value < 0) Fail(at, "found {}, expected 0 or more", value);
                if (row[2] <= 0) Fail(at, "down_Mbps is 0: answers would never come");
                trace.at_s.push_back(row[0]);
                trace.links.push_back(
                    {.up_bps = kMega * row[1], .down_bps = kMega * row[2], .rtt_s = row[3] / 1000, .shared = shared});
              });
  if (trace.at_s.size() < 2) Fail(file, "has {} rows; a trace needs two", trace.at_s.size());
  bool sends = false;
  for (const Link& link : trace.links) sends |= link.up_bps > 0;
  if (!sends) Fail(file, "up_Mbps is 0 throughout");
  const size_t n = trace.at_s.size();
  trace.length_s = trace.at_s[n - 1] + (trace.at_s[n - 1] - trace.at_s[n - 2]);  // the last row lasts as the one before
  return trace;
}

LoadNetwork ReadTrace(Options& options) {
  const bool shared = ReadShared(options);
  const Nanoseconds step = ReadStep(options);
  const std::string file = NeededText(options, "file");
  return [=] {
    const auto trace = std::make_shared<const LinkTrace>(LoadLinkTrace(file, shared));
    return Starting<ReplayedNetwork>(trace, step);
  };
}

constexpr NetworkKind kKinds[] = {
    {"constant", "up_Mbps, down_Mbps and rtt_ms that stay", ReadConstant},
    {"radio", "path loss, shadowing and correlated fading make Shannon's rate of a share of band_MHz", ReadRadio},
    {"markov", "regimes of rates that last for exponential times", ReadMarkov},
    {"wifi", "access points whose stations contend for the air (DCF), with rates by distance", ReadWifi},
    {"trace", "replays a file of t_s, up_Mbps, down_Mbps, rtt_ms", ReadTrace},
};

}  // namespace

std::span<const NetworkKind> NetworkKinds() { return kKinds; }

}  // namespace ecld::offload
