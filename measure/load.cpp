#include "measure/load.h"

#include <span>

#include "runtime/session.h"

namespace ecld {

void LoadAndPredictOnce(const std::filesystem::path& directory, const RuntimeOptions& options, ThreadPool& pool) {
  RuntimeModel model(Checkpoint::Open(directory), options);
  Session session(model, pool);
  KvCache cache(model);
  const int32_t token = 0;
  std::vector<float> logits(static_cast<size_t>(model.config().vocab_size));
  session.Logits(session.Forward({{&cache, std::span(&token, 1)}}), logits);
}

Timing MeasureWarmLoad(const std::filesystem::path& directory, const RuntimeOptions& options, ThreadPool& pool) {
  return Measure([&] { LoadAndPredictOnce(directory, options, pool); }, {.max_reps = 10, .budget_ms = 1000});
}

std::vector<int64_t> WeightBytesByLayer(const Checkpoint& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  std::vector<int64_t> bytes(static_cast<size_t>(config.num_layers + 2));
  for (const TensorSpec& spec : checkpoint.table()) {
    size_t index = spec.layer >= 0                 ? static_cast<size_t>(spec.layer + 1)
                   : spec.role == Role::kEmbedding ? 0
                                                   : bytes.size() - 1;
    for (const StoredTensor& part : StoredForm(spec, config))
      bytes[index] += static_cast<int64_t>(checkpoint.Stored(part.name).Bytes());
  }
  return bytes;
}

}  // namespace ecld
