#include "model/gradient_walk.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <fstream>

#include "core/error.h"
#include "core/progress.h"
#include "core/random.h"
#include "model/block_kernels.h"
#include "model/block_walker.h"
#include "model/embedding.h"
#include "model/operations.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kLogits = int64_t{1} << 26;  // held at a time

// Torch's operations that keep what the linears of a block put out, in the order in which they run.
class RecordingOps final : public TorchOps {
 public:
  using TorchOps::TorchOps;

  std::vector<at::Tensor> Linears(const at::Tensor& inputs, const std::vector<Weight>& weights) const override {
    std::vector<at::Tensor> results = TorchOps::Linears(inputs, weights);
    for (at::Tensor& result : results) {
      result.retain_grad();
      outputs_.push_back(result);
    }
    return results;
  }

  const std::vector<at::Tensor>& outputs() const { return outputs_; }

 private:
  mutable std::vector<at::Tensor> outputs_;
};

// The states that enter the blocks, on disk.
class StatesOnDisk {
 public:
  explicit StatesOnDisk(fs::path directory) : directory_(std::move(directory)) {}
  ~StatesOnDisk() {
    std::error_code ignored;
    for (int64_t layer = 0; layer < layers_; ++layer) fs::remove(Path(layer), ignored);
  }

  void Write(int64_t layer, const at::Tensor& states) {
    layers_ = std::max(layers_, layer + 1);
    shape_ = states.sizes().vec();
    const at::Tensor half = states.to(at::kBFloat16).contiguous();
    std::ofstream file(Path(layer), std::ios::binary);
    file.write(static_cast<const char*>(half.data_ptr()), static_cast<std::streamsize>(half.nbytes()));
    if (!file.flush()) Fail(Path(layer).string(), "cannot be written; {} bytes are needed", half.nbytes());
  }
  at::Tensor Take(int64_t layer) {
    at::Tensor half = at::empty(shape_, at::kBFloat16);
    std::ifstream file(Path(layer), std::ios::binary);
    if (!file.read(static_cast<char*>(half.data_ptr()), static_cast<std::streamsize>(half.nbytes())))
      Fail(Path(layer).string(), "cannot be read");
    fs::remove(Path(layer));
    return half;
  }

 private:
  fs::path Path(int64_t layer) const { return directory_ / fmt::format("states-{}", layer); }

  fs::path directory_;
  int64_t layers_ = 0;
  std::vector<int64_t> shape_;
};

// Turns logits [tokens, vocab_size] into the gradient of -log p(y), y drawn from p, and adds p up. first: the place of
// the first token among all, so that a draw does not depend on the batch it is in.
void DrawAndSubtract(at::Tensor& logits, int64_t first, uint64_t seed, at::Tensor& probabilities) {
  at::softmax_out(logits, logits, 1);
  probabilities.add_(logits.sum(0));
  const int64_t vocab = logits.size(1);
  for (int64_t token = 0; token < logits.size(0); ++token) {
    float* p = logits.data_ptr<float>() + token * vocab;
    Random random(seed ^ (0x9e3779b97f4a7c15u * static_cast<uint64_t>(first + token + 1)));
    double left = random.Uniform();
    int64_t drawn = 0;
    for (int64_t id = 0; id < vocab; ++id) {
      if (p[id] > 0) drawn = id;  // the last of them, where rounding leaves a little over
      if ((left -= static_cast<double>(p[id])) < 0) break;
    }
    p[drawn] -= 1;
  }
}

// The gradients at the states that leave the last block take their place. Returns the mean of p, [vocab_size].
at::Tensor GradientsAtTheEnd(const Checkpoint& in, uint64_t seed, at::Tensor& states) {
  const at::Tensor norm = at::tensor(in.ReadFloats(Find(in.table(), Role::kFinalNorm)));
  const WeightView head = in.Head();
  const int64_t tokens = states.size(0) * states.size(1);
  at::Tensor flat = states.view({tokens, -1}), probabilities = at::zeros({head.out_features}, at::kFloat);
  const int64_t batch = std::clamp<int64_t>(kLogits / head.out_features, 1, kWalkBatchTok);
  for (int64_t first = 0; first < tokens; first += batch) {
    at::Tensor part = flat.narrow(0, first, std::min(batch, tokens - first));
    at::Tensor input = part.clone().requires_grad_();
    at::Tensor normed = [&] {
      at::AutoGradMode with_gradients(true);
      return RmsNorm(input, norm, in.config().rms_norm_eps);
    }();
    at::Tensor logits = at::empty({part.size(0), head.out_features}, at::kFloat);
    ForHeadRows(head, [&](int64_t row, const at::Tensor& weights) {
      logits.narrow(1, row, weights.size(0)).copy_(at::linear(normed.detach(), weights));
    });
    DrawAndSubtract(logits, first, seed, probabilities);
    at::Tensor gradient = at::zeros_like(part);
    ForHeadRows(head, [&](int64_t row, const at::Tensor& weights) {
      gradient.addmm_(logits.narrow(1, row, weights.size(0)), weights);
    });
    normed.backward(gradient);
    part.copy_(input.grad());
  }
  in.DropPages(-1);
  return probabilities.div_(static_cast<double>(tokens));
}

}  // namespace

EndGradients WalkGradients(const Checkpoint& in, const TokenWindows& text, const GradientWalk& walk, ThreadPool& pool) {
  at::NoGradGuard no_gradients;
  const ModelConfig& config = in.config();
  StatesOnDisk stored(walk.scratch);
  Progress progress("gradients", 2 * config.num_layers, "blocks");
  at::Tensor states = Embed(in, text.windows);
  const BlockKernels kernels(config, pool);
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    stored.Write(layer, states);
    AdvanceStates(kernels, Block::Load(in, layer), states);
    in.DropPages(layer);
    progress.Advance();
  }
  const at::Tensor probabilities = GradientsAtTheEnd(in, walk.seed, states);
  for (int64_t layer = config.num_layers - 1; layer >= 0; --layer) {
    const Block block = Block::Load(in, layer);
    in.DropPages(layer);
    const at::Tensor entering = stored.Take(layer);
    const bool skipped = walk.skips && walk.skips(layer);
    ForWindowBatches(states.size(0), states.size(1), [&](int64_t first, int64_t count) {
      at::Tensor input = entering.narrow(0, first, count).to(at::kFloat).requires_grad_();
      at::Tensor gradient = states.narrow(0, first, count);
      BlockGradients batch{.first = first};
      const RecordingOps ops(config.dtype);
      {
        at::AutoGradMode with_gradients(true);
        block.Forward(ops, input, &batch.inputs).backward(gradient);
      }
      gradient.copy_(input.grad());
      if (skipped) return;
      for (size_t i = 0; i < kBlockLinears.size(); ++i) batch.gradients[kBlockLinears[i]] = ops.outputs()[i].grad();
      for (at::Tensor& group : batch.inputs.groups) group = group.detach();
      walk.body(block, batch);
    });
    if (!skipped) walk.done(block);
    progress.Advance();
  }
  return {states, probabilities};
}

GradientWalkCost CostOfGradients(const ModelConfig& config, const PlanInput& input) {
  const WalkMemory memory = MemoryOfWalk(config, input);
  const auto tokens = static_cast<double>(input.calibration_windows * input.window_tok);
  const auto logits = std::min<uint64_t>(4 * kLogits, static_cast<uint64_t>(4 * kWalkBatchTok * config.vocab_size));
  // Forward; forward again and back; and the head there and back.
  return {3 * WalkFlops(config, input) + 3 * AttentionFlops(config, input) +
              4 * tokens * static_cast<double>(config.vocab_size * config.hidden_size),
          memory.states_B / 2 * static_cast<uint64_t>(config.num_layers),
          memory.block_B + memory.states_B * 2 + std::max(memory.batch_B * 5 / 2, logits)};
}

}  // namespace ecld
