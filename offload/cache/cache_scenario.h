#pragma once
// What a scenario that asks "cache" says. Popularities are shares of the requests.

#include <optional>
#include <string>
#include <vector>

#include "offload/cache/shared_bytes.h"
#include "offload/networks.h"

namespace ecld::offload {

struct VariantSpec {
  std::string name, where;
  std::string inspected;           // a file of `ecld-device inspect --json`; empty:
  std::vector<NamedBlock> blocks;  // given by name and length
};

struct CacheSpec {
  std::vector<VariantSpec> variants;
  std::vector<double> popularity, changed;  // [variants]; changed: empty: it stays as it is
  std::string unit;                         // of what is shared: "blocks", "tensors"
  bool whole = false;                       // a variant is sent whole, whatever the device has
  double storage_B = 0, backhaul_bps = 0, backhaul_s = 0;
  int64_t devices = 1;
  double device_storage_B = 0;
  double horizon_s = 0, rate_per_s = 0;  // the latter: of each device
  std::optional<double> deadline_s;
  std::string network_kind;
  LoadNetwork network;
  std::vector<std::string> policies;

  std::vector<std::string> Names() const;
};

// Opens no file. Policies are not looked at. THROWS Error.
CacheSpec ReadCacheSpec(Options& options);

}  // namespace ecld::offload
