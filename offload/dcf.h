#pragma once
// How stations that all want to send share a Wi-Fi channel: the fixed point of the distributed coordination function
// (Bianchi, IEEE JSAC 18(3), 2000, eqs. 7, 9 and 13). Each sends in a slot with chance tau and meets another with
// chance p; both follow from each other. Frames that met are sent again until they are through; nobody is hidden.

#include <cstdint>
#include <vector>

namespace ecld::offload {

struct DcfWindow {
  double least = 16;      // W: slots to draw from at first; doubled after each collision,
  int64_t doublings = 6;  // m: at most this often
};

// In seconds, but for the payload. A success and a collision are whole: until the next slot may begin.
struct DcfTiming {
  double slot = 9e-6, success = 0, collision = 0;
  double payload = 0;  // of a success, in whatever unit throughput shall have: seconds give the share of the time
};

struct DcfPoint {
  double tau = 0, p = 0;
  double throughput = 0;  // of all together: payload per second
  double access_s = 0;    // from when a frame is next in its station until it is through, in the mean
};

// REQUIRES: stations of 1 or more; a window of 1 or more.
DcfPoint SolveDcf(int64_t stations, const DcfWindow& window, const DcfTiming& timing);

// Its answers by the number of stations, kept once they were reckoned. One thread: a run has its own.
class Contention {
 public:
  Contention(const DcfWindow& window, const DcfTiming& timing) : window_(window), timing_(timing) {}
  // REQUIRES: 1 or more; above kMostStations that many are meant.
  const DcfPoint& Among(double stations) const;
  static constexpr int64_t kMostStations = 4096;

 private:
  DcfWindow window_;
  DcfTiming timing_;
  mutable std::vector<DcfPoint> points_;  // [stations - 1]; those not reckoned have tau 0
};

}  // namespace ecld::offload
