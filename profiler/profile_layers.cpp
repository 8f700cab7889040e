// What the rows of layers.csv and the points of the grid are, whether they are measured or modelled.

#include <algorithm>
#include <limits>
#include <string>

#include "measure/requests.h"
#include "profiler/profile_tables.h"

namespace ecld {
namespace {

// Matrix products and attention, a multiply and an add counted as two; norms and activations left out.
int64_t BlockFlops(const Checkpoint& checkpoint, int64_t layer, int64_t batch, int64_t tok, int64_t ctx_tok) {
  const ModelConfig& config = checkpoint.config();
  int64_t weights = 0, pairs = 0;
  for (const TensorSpec& spec : checkpoint.table())
    if (spec.layer == layer && spec.matrix()) weights += spec.Elements();
  int64_t window = config.sliding_window[static_cast<size_t>(layer)];
  if (window == 0) window = std::numeric_limits<int64_t>::max();
  for (int64_t i = 0; i < tok; ++i) pairs += std::min(ctx_tok + i + 1, window);
  return 2 * batch * (tok * weights + 2 * pairs * config.QueryWidth());
}

}  // namespace

std::vector<GridPoint> GridPoints(const ProfileGrid& grid, const ModelConfig& config) {
  std::vector<GridPoint> points;
  for (int64_t batch : grid.batches)
    for (int64_t prompt : grid.prompts_tok)
      if (prompt + grid.gen_tok <= LongestText(config)) points.push_back({batch, prompt});
  std::stable_sort(points.begin(), points.end(),
                   [](GridPoint a, GridPoint b) { return a.batch * a.prompt_tok < b.batch * b.prompt_tok; });
  return points;
}

void AddLayerShape(const RuntimeModel& model, const std::vector<int64_t>& weight_B, const LayerShape& shape,
                   Table* layers) {
  const ModelConfig& config = model.config();
  const bool embed = shape.index == 0, head = shape.index + 1 == weight_B.size();
  const int64_t layer = static_cast<int64_t>(shape.index) - 1;
  const int64_t hidden_B = config.hidden_size * static_cast<int64_t>(sizeof(float));
  layers->AddRow();
  layers->Set("layer", embed ? std::string("embed") : head ? std::string("head") : std::to_string(layer));
  layers->Set("phase", std::string(shape.phase));
  layers->Set("batch", shape.batch);
  layers->Set("tok", shape.tok);
  layers->Set("ctx_tok", shape.ctx_tok);
  layers->Set("weight_B", weight_B[shape.index]);
  layers->Set("kv_B_per_tok", embed || head ? 0 : CacheBytes(model, 1, 1) / config.num_layers);
  // The head sees the last token of each sequence only.
  layers->Set("act_in_B", embed ? shape.batch * shape.tok * int64_t{sizeof(int32_t)}
                                : (head ? 1 : shape.tok) * shape.batch * hidden_B);
  layers->Set("act_out_B",
              head ? shape.batch * config.vocab_size * int64_t{sizeof(float)} : shape.batch * shape.tok * hidden_B);
  layers->Set("flops", embed  ? 0
                       : head ? 2 * shape.batch * config.vocab_size * config.hidden_size
                              : BlockFlops(model.checkpoint(), layer, shape.batch, shape.tok, shape.ctx_tok));
}

}  // namespace ecld
