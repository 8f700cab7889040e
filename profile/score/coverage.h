#pragma once
// The share of a catalogue's devices that can hold and run a model. Nobody ran it there: whether it fits and how fast
// it decodes is modelled from bytes, and a device within the error of the model, or of which a figure is not known, is
// undecided. So there are two shares: the devices that surely can, and those that possibly can.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "profile/format/profile.h"
#include "profile/score/catalogue.h"

namespace ecld {

struct CoverageLimits {
  int64_t ctx_tok = 1024;  // tokens in the cache; at most what the model can
  // Share of a device's memory that one program may take: of a phone what MobileLLM (arXiv 2402.14905, section 1)
  // gives an app, elsewhere half.
  double phone_memory_share = 0.10, memory_share = 0.50;
  double decode_tok_per_s = 5;
  // Decoding reads the weights and the cache once per token; it surely reaches this share of the peak rate at which
  // memory is read, and possibly all of it.
  double sure_rate_share = 0.50;
};

struct DeviceVerdict {
  std::string id, kind;
  bool sure = false, possible = false;
  double allowed_B = 0;
  std::optional<double> decode_low, decode_high;  // tokens/s; absent: the device's rate is not known
};

struct Coverage {
  CoverageLimits limits;
  // Of one sequence of ctx_tok tokens: weights and cache, which must be in memory; and what the program took when it
  // was measured, carried to this context by its cache.
  double need_low_B = 0, need_high_B = 0;
  double read_B_per_tok = 0;
  double sure = 0, possible = 0;  // shares of the devices, each counting the same
  std::vector<DeviceVerdict> devices;
};

// THROWS Error: the profile has no phase table, or none of its rows is of one sequence with its memory.
Coverage CoverageOf(const DeviceProfile& profile, const DeviceCatalogue& catalogue, CoverageLimits limits);

Json ToJson(const Coverage& coverage);

// Bytes read for one token at the end of a sequence of ctx_tok: all weights but an embedding of which only a row is
// looked up, and the cache.
double ReadBytesPerToken(const DeviceProfile& profile, int64_t ctx_tok);

}  // namespace ecld
