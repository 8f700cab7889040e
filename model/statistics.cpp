#include "model/statistics.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "checkpoint/cache_file.h"
#include "core/error.h"
#include "core/hash.h"
#include "model/block_kernels.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

// Of weights and config, but for what was decided about their formats; of the text, and of the seed.
std::string KeyOf(const Checkpoint& in, const PassContext& context) {
  Sha256 hash;
  Json config = ToJson(in.config());
  config.erase(std::string(kAllocationKey));
  hash.Update(config.dump());
  for (const TensorSpec& spec : in.table())
    for (const StoredTensor& part : StoredForm(spec, in.config())) {
      hash.Update(part.name);
      hash.Update(in.Tensor(part.name).bytes);
    }
  for (const auto& window : context.calibration->windows) hash.Update(std::as_bytes(std::span(window)));
  hash.Update(fmt::format("{} {}", context.calibration->window_tok, context.seed));
  return hash.HexDigest();
}

// Floats of the lower triangle of a square matrix.
constexpr int64_t Triangle(int64_t size) { return size * (size + 1) / 2; }

int64_t MomentFloats(int64_t out_features) {
  const int64_t rows = MomentRows(out_features), last = out_features % rows;
  return out_features / rows * Triangle(rows) + Triangle(last);
}

// Of a block: the moments of each linear, then the weights of each group.
int64_t BlockFloats(const std::vector<TensorSpec>& table, int64_t layer, int64_t tokens) {
  int64_t floats = static_cast<int64_t>(kLinearGroups.size()) * tokens;
  for (Role role : kBlockLinears) floats += MomentFloats(Find(table, role, layer).shape[0]);
  return floats;
}

int64_t EmbeddingFloats(const ModelConfig& config) { return Triangle(config.hidden_size) + config.vocab_size; }

void AppendTriangle(const at::Tensor& lower, float factor, std::vector<float>& floats) {
  const int64_t size = lower.size(0);
  for (int64_t row = 0; row < size; ++row)
    for (int64_t column = 0; column <= row; ++column)
      floats.push_back(lower.const_data_ptr<float>()[row * size + column] * factor);
}

at::Tensor ReadTriangle(const float* values, int64_t size) {
  at::Tensor matrix = at::empty({size, size}, at::kFloat);
  float* const to = matrix.data_ptr<float>();
  for (int64_t row = 0; row < size; ++row)
    for (int64_t column = 0; column <= row; ++column) to[row * size + column] = to[column * size + row] = *values++;
  return matrix;
}

// What is summed up of one block.
struct BlockSums {
  std::map<Role, std::vector<at::Tensor>> moments;             // lower triangles, by blocks of rows
  std::array<at::Tensor, kLinearGroups.size()> token_weights;  // [windows, tokens]

  void Add(const BlockGradients& batch, int64_t windows, BlockKernels& kernels) {
    for (const LinearGroup& group : kLinearGroups) {
      at::Tensor& weights = token_weights[GroupIndex(group.linears.front())];
      for (Role role : group.linears) {
        const at::Tensor& gradient = batch.gradients.at(role);
        AddMoments(gradient, kernels, MomentRows(gradient.size(2)), moments[role]);
        const at::Tensor energy = gradient.square().sum(-1);
        if (!weights.defined()) weights = at::zeros({windows, energy.size(1)}, at::kFloat);
        weights.narrow(0, batch.first, energy.size(0)).add_(energy);
      }
    }
  }

  static void AddMoments(const at::Tensor& gradient, BlockKernels& kernels, int64_t rows,
                         std::vector<at::Tensor>& sums) {
    const int64_t features = gradient.size(2);
    for (int64_t first = 0, i = 0; first < features; first += rows, ++i) {
      const int64_t count = std::min(rows, features - first);
      if (std::ssize(sums) == i) sums.push_back(at::zeros({count, count}, at::kFloat));
      kernels.AddGram(gradient.narrow(2, first, count).contiguous(), sums[static_cast<size_t>(i)]);
    }
  }

  std::vector<float> Floats(int64_t tokens) const {
    std::vector<float> floats;
    const float mean = 1 / static_cast<float>(tokens);
    for (Role role : kBlockLinears)
      for (const at::Tensor& sum : moments.at(role)) AppendTriangle(sum, mean, floats);
    for (const at::Tensor& weights : token_weights) {
      const auto average = weights.mean(at::kDouble).item<double>();
      for (int64_t i = 0; i < tokens; ++i)
        floats.push_back(average > 0 ? static_cast<float>(weights.const_data_ptr<float>()[i] / average) : 1);
    }
    return floats;
  }
};

}  // namespace

OutputStatistics::OutputStatistics(const Checkpoint& in, const PassContext& context)
    : config_(in.config()),
      table_(in.table()),
      windows_(std::ssize(context.calibration->windows)),
      window_tok_(context.calibration->window_tok) {
  Make(in, context);
}

void OutputStatistics::Make(const Checkpoint& in, const PassContext& context) {
  const int64_t tokens = windows_ * window_tok_, layers = config_.num_layers;
  const std::string key = KeyOf(in, context);
  directory_ = context.statistics / key.substr(0, 16);
  fs::create_directories(directory_);
  std::vector<std::optional<MappedFile>> files(static_cast<size_t>(layers + 1));
  const auto file = [&](int64_t layer) -> auto& { return files[static_cast<size_t>(layer)]; };
  const auto path = [&](int64_t layer) {
    return directory_ / (layer < layers ? fmt::format("block-{}.moments", layer) : "embedding.moments");
  };
  const auto identity = [&](int64_t layer) -> CacheIdentity {
    const int64_t floats = layer < layers ? BlockFloats(table_, layer, tokens) : EmbeddingFloats(config_);
    return {"ECLDOUTM", 1, key, kCacheHeaderBytes + static_cast<uint64_t>(floats + 15) / 16 * 64};
  };
  const auto write = [&](int64_t layer, const std::vector<float>& values) {
    const auto content = [&](int fd) { return WriteAt(fd, values.data(), values.size() * 4, kCacheHeaderBytes); };
    if (const auto failed = MakeCacheFile(path(layer), identity(layer), *context.pool, content, &file(layer)))
      Fail(path(layer).string(), "cannot be written: {}", *failed);
  };
  for (int64_t layer = 0; layer <= layers; ++layer)
    file(layer) = OpenCacheFile(path(layer), identity(layer), *context.pool);
  if (!std::all_of(files.begin(), files.end(), [](const auto& each) { return each.has_value(); })) {
    BlockKernels kernels(config_, *context.pool);
    BlockSums sums;
    GradientWalk walk{.seed = context.seed ^ kSeed, .scratch = directory_};
    walk.body = [&](const Block&, const BlockGradients& batch) {
      const TorchOnOneThread one_thread;
      sums.Add(batch, windows_, kernels);
    };
    walk.done = [&](const Block& block) {
      write(block.layer(), sums.Floats(tokens));
      sums = {};
    };
    walk.skips = [&](int64_t layer) { return file(layer).has_value(); };
    const EndGradients ends = WalkGradients(in, *context.calibration, walk, *context.pool);
    std::vector<float> values;
    std::vector<at::Tensor> moments;
    BlockSums::AddMoments(ends.entering, kernels, config_.hidden_size, moments);
    AppendTriangle(moments.front(), 1 / static_cast<float>(tokens), values);
    const float* probabilities = ends.probabilities.const_data_ptr<float>();
    values.insert(values.end(), probabilities, probabilities + config_.vocab_size);
    write(layers, values);
  }
  for (auto& each : files) files_.push_back(std::move(*each));
}

const float* OutputStatistics::Values(int64_t layer) const {
  return reinterpret_cast<const float*>(files_[static_cast<size_t>(layer)].bytes().data() + kCacheHeaderBytes);
}

at::Tensor OutputStatistics::Moments(const TensorSpec& linear, int64_t first) const {
  const float* values = Values(linear.layer);
  for (Role role : kBlockLinears) {
    if (role == linear.role) break;
    values += MomentFloats(Find(table_, role, linear.layer).shape[0]);
  }
  const int64_t rows = MomentRows(linear.shape[0]), count = std::min(rows, linear.shape[0] - first);
  return ReadTriangle(values + first / rows * Triangle(rows), count);
}

at::Tensor OutputStatistics::EmbeddingMoments() const {
  return ReadTriangle(Values(config_.num_layers), config_.hidden_size);
}

at::Tensor OutputStatistics::TokenProbabilities() const {
  at::Tensor probabilities = at::empty({config_.vocab_size}, at::kFloat);
  std::memcpy(probabilities.data_ptr(), Values(config_.num_layers) + Triangle(config_.hidden_size),
              probabilities.nbytes());
  return probabilities;
}

at::Tensor OutputStatistics::TokenWeights(Role linear, int64_t layer) const {
  const int64_t tokens = windows_ * window_tok_;
  const float* values = Values(layer) + BlockFloats(table_, layer, tokens) -
                        (std::ssize(kLinearGroups) - static_cast<int64_t>(GroupIndex(linear))) * tokens;
  at::Tensor weights = at::empty({windows_, window_tok_}, at::kFloat);
  std::memcpy(weights.data_ptr(), values, static_cast<size_t>(tokens) * 4);
  return weights;
}

GradientWalkCost CostOfStatistics(const ModelConfig& config, const PlanInput& input) {
  GradientWalkCost cost = CostOfGradients(config, input);
  const std::vector<TensorSpec> table = TensorTable(config);
  const int64_t tokens = input.calibration_windows * input.window_tok;
  uint64_t largest_B = 0;
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    int64_t sums = 0;
    for (Role role : kBlockLinears) {
      const int64_t rows = Find(table, role, layer).shape[0], together = MomentRows(rows);
      cost.flops += static_cast<double>(tokens * rows * together);
      sums += rows * together;
    }
    const int64_t floats = BlockFloats(table, layer, tokens);
    cost.scratch_B += 4 * static_cast<uint64_t>(floats);
    largest_B = std::max(largest_B, static_cast<uint64_t>(4 * sums + 8 * floats));
  }
  cost.memory_B += largest_B;
  return cost;
}

}  // namespace ecld
