#pragma once
// Which matrix of a model gets which packed format, and the quantization_config that says so in config.json.

#include <optional>
#include <string>
#include <vector>

#include "checkpoint/config.h"
#include "checkpoint/tensor_table.h"
#include "model/pass.h"

namespace ecld {

// Matrices whose module name matches get another format than the rest.
struct SchemeOverride {
  std::string match;                   // glob over the module name, "*.mlp.down_proj", or "re:<regex>" from its start
  std::optional<PackedFormat> format;  // nullopt: stay dense
};

struct Scheme {
  PackedFormat format;                     // of all projections of the blocks
  std::optional<PackedFormat> embeddings;  // of the embedding (and of the head tied to it); nullopt: dense
  std::optional<PackedFormat> lm_head;     // of a head that is not tied; nullopt: dense
  std::vector<SchemeOverride> overrides;   // the first match counts
};

// The quantization_config for a dense model: one group per distinct format, dense modules under "ignore". Where
// quantize.allocate has chosen formats (config.allocation), it is that choice.
// where: of the stage, for errors. THROWS Error: already quantized, a format without a layout, an override that
// matches nothing, lm_head given for a tied head; with an allocation, formats by name, or a model that was changed
// since.
QuantizationConfig QuantizationOf(const Scheme& scheme, const ModelConfig& config, const std::string& where);

// What clients will make of a quantized config: sentences for Planned::notes.
std::vector<std::string> ClientNotes(const ModelConfig& quantized);

// What every pass that rounds by a scheme plans alike: the config afterwards, its bytes, and notes on clients.
// THROWS Error as QuantizationOf.
Planned PlanRounding(const Scheme& scheme, const PlanInput& input);

}  // namespace ecld
