#pragma once
// Log-distance path loss with log-normal shadowing, in a square.

#include <algorithm>
#include <cmath>
#include <complex>

#include "core/options.h"
#include "core/random.h"
#include "offload/reading.h"

namespace ecld::offload {

using Place = std::complex<double>;  // in metres

struct PathLoss {
  double area_m, loss_1m_dB, exponent, shadow_dB;

  Place Anywhere(Random random) const {
    const double x = random.Uniform();
    return area_m * Place(x, random.Uniform());
  }
  // Power received over sent; all are at least a metre apart.
  double Gain(const Place& from, const Place& to, Random& random) const {
    const double distance_m = std::max(1.0, std::abs(from - to));
    const double loss_dB = loss_1m_dB + 10 * exponent * std::log10(distance_m) + shadow_dB * random.Normal();
    return std::pow(10, -loss_dB / 10);
  }
};

inline PathLoss ReadPathLoss(Options& options) {
  return {.area_m = options.Number("area_m", 50, 1, 1e5, "side of the square in which all stand"),
          .loss_1m_dB = options.Number("loss_1m_dB", 47, 0, 200, "path loss at a metre (47 dB: 5 GHz in free space)"),
          .exponent = options.Number("exponent", 3, 1, 8, "of the distance"),
          .shadow_dB = options.Number("shadow_dB", 4, 0, 30, "standard deviation of the shadowing")};
}

// What a radio sends with, and the noise that its signal stands against.
struct RadioPower {
  double send_W, server_W, noise_W_per_Hz;
};

inline RadioPower ReadRadioPower(Options& options) {
  const double noise_dBm = options.Number("noise_dBm_per_Hz", -167, -300, 0, "receiver's noise");
  return {.send_W = options.Number("send_W", 0.1, kLeast, 1e3, "radiated by a device"),
          .server_W = options.Number("server_W", 0.2, kLeast, 1e3, "radiated by a server"),
          .noise_W_per_Hz = std::pow(10, noise_dBm / 10) / 1000};
}

}  // namespace ecld::offload
