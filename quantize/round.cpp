#include "quantize/round.h"

#include <algorithm>

#include "model/tensor_walker.h"
#include "quantize/nearest.h"
#include "quantize/rounding_report.h"
#include "quantize/scheme_options.h"

namespace ecld {

Planned RoundPass::Plan(const PlanInput& input) const {
  Planned planned = PlanRounding(options_.scheme, input);
  double weights = 0;
  for (const auto& spec : TensorTable(planned.config)) {
    if (!spec.format) continue;
    // The worst case of a chunk: codes of 8 bits, packed too, and for each group of 8 a grid, also as it is stored.
    const auto chunk = static_cast<uint64_t>(ChunkRows(spec.shape[1]) * spec.shape[1]);
    planned.peak_memory_B = std::max(planned.peak_memory_B, 4 * chunk);
    weights += static_cast<double>(spec.Elements());
  }
  if (input.rates)
    planned.seconds = weights / MeasureRoundRate(options_.scheme.format, options_.clip, input.rates->pool());
  return planned;
}

void RoundPass::Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const {
  const auto write = [&](const TensorSpec& target) -> Json {
    const TensorSpec& source = Find(in.table(), target.role, target.layer, target.bias);
    if (target.format) return {{"relative_error", RoundMatrix(in, source, target, options_.clip, out, *context.pool)}};
    out.CopyFrom(in, target);
    return {{"relative_error", 0.0}};
  };
  WalkTensors(in, out, context, {.label = "quantize.round", .write = write, .lost_row = {{"relative_error", nullptr}}});
  (*context.report)["tensors"] = TensorReports(out, context.rows);
}

std::unique_ptr<Pass> MakeRound(Options& options) {
  RoundOptions round;
  round.scheme = ReadScheme(options);
  round.clip = ReadClip(options, "minmax");
  return std::make_unique<RoundPass>(std::move(round));
}

}  // namespace ecld
