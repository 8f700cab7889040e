#pragma once
// Wi-Fi as a network: each server is an access point; rates by distance, the air shared as the fixed point of dcf.h
// says. Whoever wins the air sends for burst_ms at its own rate, so that a slow station takes no more of it than a fast
// one. Access points stand evenly over the square and take the channels in turn; those on one channel contend as one
// cell. Not in it: hidden stations, changing rates, several antennas, trigger frames.

#include <cstdint>

#include "offload/dcf.h"
#include "offload/networks.h"
#include "offload/path_loss.h"

namespace ecld::offload {

struct Wifi {
  PathLoss path;
  RadioPower power;
  int64_t band_MHz = 40;
  bool rts = true;  // a win is announced by RTS and CTS: what collides is short
  double burst_s = 2e-3;
  DcfWindow window;
  int64_t channels = 0;  // 0: one for each access point
  double rtt_s = 0;      // beyond the air
};

// 802.11ax, one stream, guard interval 0.8 us; by the sensitivity that the standard asks of a receiver. Weaker
// than the lowest takes, frames are repeated: the rate falls with the signal. Bits per second.
double WifiRate(int64_t band_MHz, double snr);
// Of a win: preambles, RTS and CTS at 24 Mbit/s, acknowledgement, the gaps between them.
DcfTiming WifiTiming(const Wifi& wifi);

LoadNetwork ReadWifi(Options& options);  // THROWS Error

}  // namespace ecld::offload
