#include "offload/split/token_time.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace ecld::offload {

std::string BoundOf(const SplitSession& process, int regime) {
  const SplitPlan& plan = process.plan();
  int best = 1;
  for (int choice = 1; choice + 1 < process.choices(); ++choice)
    if (process.TokenAt(0, regime, choice).Seconds() < process.TokenAt(0, regime, best).Seconds()) best = choice;
  const SplitUse token = process.TokenAt(0, regime, best);
  const double local_s = process.TokenAt(0, regime, process.choices() - 1).Seconds();
  const std::pair<const char*, double> parts[] = {{"the device", token.device_s},
                                                  {"sending", token.send_s},
                                                  {"the round trip", token.round_trips_s},
                                                  {"the server", token.server_s}};
  const auto& most = *std::ranges::max_element(parts, {}, [](const auto& part) { return part.second; });
  const SplitRegime& link = plan.regimes[static_cast<size_t>(regime)];
  return fmt::format(
      "at {:g} Mbit/s and {:g} ms, a token through cut {} (the quickest of them) takes {:.1f} ms: device {:.1f}, "
      "sending "
      "{:.2f}, round trip {:.1f}, server {:.2f}; {} bounds it: not more than {:.0f} tokens a second however fast the "
      "rest. Not split it takes {:.1f} ms, all on the server {:.1f} ms",
      link.up_bps / 1e6, 1e3 * link.rtt_s, plan.cuts[static_cast<size_t>(best)], 1e3 * token.Seconds(),
      1e3 * token.device_s, 1e3 * token.send_s, 1e3 * token.round_trips_s, 1e3 * token.server_s, most.first,
      1 / most.second, 1e3 * local_s, 1e3 * process.TokenAt(0, regime, 0).Seconds());
}

Json TokenPicture(const SplitSession& process) {
  const SplitPlan& plan = process.plan();
  Json series = Json::array();
  const auto add = [&](const char* name, const auto& part) {
    Json x = Json::array(), y = Json::array();
    for (int choice = 0; choice < process.choices(); ++choice) {
      x.push_back(plan.cuts[static_cast<size_t>(choice)]);
      y.push_back(1e3 * std::invoke(part, process.TokenAt(0, 0, choice)));
    }
    series.push_back({{"name", name}, {"x", std::move(x)}, {"y", std::move(y)}});
  };
  add("device", &SplitUse::device_s);
  add("sending", &SplitUse::send_s);
  add("round trip", &SplitUse::round_trips_s);
  add("server", &SplitUse::server_s);
  add("together", &SplitUse::Seconds);
  return {{"title", fmt::format("where the time of a token goes, {:g} Mbit/s and {:g} ms", plan.regimes[0].up_bps / 1e6,
                                1e3 * plan.regimes[0].rtt_s)},
          {"x", "layers on the device"},
          {"y", "ms"},
          {"from_zero", true},
          {"series", std::move(series)}};
}

}  // namespace ecld::offload
