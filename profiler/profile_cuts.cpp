#include "measure/load.h"
#include "measure/requests.h"
#include "profiler/profile_tables.h"

namespace ecld {
namespace {

constexpr std::pair<const char*, int64_t> kDTypes[] = {{"f32", 4}, {"f16", 2}};  // bytes

}  // namespace

ProfileTable Cuts(const RuntimeModel& model, const ProfileGrid& grid) {
  const ModelConfig& config = model.config();
  const std::vector<int64_t> weight_B = WeightBytesByLayer(model.checkpoint());
  const int64_t cache_B = CacheBytes(model, 1, 1) / config.num_layers;  // of a layer and token
  constexpr int64_t kId = sizeof(int32_t);
  std::vector<int64_t> lengths = {1};
  for (int64_t prompt_tok : grid.prompts_tok)
    if (prompt_tok > 1 && prompt_tok <= LongestText(config)) lengths.push_back(prompt_tok);

  Table cuts(FindTableSchema("cuts", "profile"));
  const auto add = [&](int64_t cut, int64_t ue_weight_B, int64_t batch, int64_t tok, const char* dtype, int64_t row_B) {
    const bool local = cut == config.num_layers;
    cuts.AddRow();
    cuts.Set("cut", cut);
    cuts.Set("batch", batch);
    cuts.Set("tok", tok);
    if (dtype != nullptr) cuts.Set("dtype", std::string(dtype));
    cuts.Set("up_B", batch * tok * row_B);
    cuts.Set("down_B", local ? 0 : batch * kId);  // the token that comes next
    // Sent whole, a query's answer streams back; cut in between, each token waits for the one before.
    cuts.Set("rtt_per_gen_tok", cut > 0 && !local ? 1.0 : 0.0);
    cuts.Set("ue_weight_B", ue_weight_B);
    cuts.Set("ue_mem_peak_B", ue_weight_B + cut * cache_B * batch * tok);
    cuts.Set("src", std::string("r"));
    cuts.Set("n", int64_t{1});
  };
  int64_t ue_weight_B = 0;
  for (int64_t cut = 0; cut <= config.num_layers; ++cut) {
    // The embedding goes with the first block, final norm and head with the last.
    if (cut > 0) ue_weight_B += weight_B[static_cast<size_t>(cut)] + (cut == 1 ? weight_B.front() : 0);
    if (cut == config.num_layers) ue_weight_B += weight_B.back();
    for (int64_t batch : grid.batches)
      for (int64_t tok : lengths) {
        if (cut == 0 || cut == config.num_layers)
          add(cut, ue_weight_B, batch, tok, nullptr, cut == 0 ? kId : 0);
        else
          for (const auto& [dtype, bytes] : kDTypes)
            add(cut, ue_weight_B, batch, tok, dtype, config.hidden_size * bytes);
      }
  }
  return {TableStatus::kComplete, std::move(cuts)};
}

}  // namespace ecld
