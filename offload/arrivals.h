#pragma once
// When requests come, from whom and how long. One table of kinds; each reads its own part of a scenario.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "core/options.h"
#include "offload/event_queue.h"

namespace ecld::offload {

struct Arrival {
  Nanoseconds at = 0;
  size_t device = 0;
  int64_t prompt_tok = 1;
  int64_t answer_tok = 1;  // where the item that is asked about does not say
};

class Arrivals {
 public:
  virtual ~Arrivals() = default;
  virtual std::optional<Arrival> Next() = 0;  // by rising time; nothing: there are no more
};

using StartArrivals = std::function<std::unique_ptr<Arrivals>(size_t devices, uint64_t seed)>;

struct RequestSource {
  StartArrivals start;
  int64_t typical_prompt_tok = 1, longest_prompt_tok = 1, longest_answer_tok = 1;  // typical: the median
  Nanoseconds ends = kLongestNs;                                                   // when there are no more
};
// Reads the files that the scenario names. THROWS Error.
using LoadRequests = std::function<RequestSource()>;

struct RequestKind {
  std::string_view name, summary;
  LoadRequests (*read)(Options& options);  // THROWS Error; opens no file
};

std::span<const RequestKind> RequestKinds();

}  // namespace ecld::offload
