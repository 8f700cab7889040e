#include "model/streamed_kl.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "core/memory.h"
#include "model/block_walker.h"
#include "model/embedding.h"
#include "model/operations.h"

namespace ecld {
namespace {

// Takes a piece into the largest and the sum. weights: exp of the logits relative to the largest so far; shrink: what
// earlier sums are to be multiplied with.
void TakeIn(const at::Tensor& logits, at::Tensor largest, at::Tensor exponentials, at::Tensor* weights,
            at::Tensor* shrink) {
  const at::Tensor now = at::maximum(largest, std::get<0>(logits.max(1)).to(at::kDouble));
  *shrink = (largest - now).exp();
  largest.copy_(now);
  *weights = (logits - now.to(at::kFloat).unsqueeze(1)).exp();
  exponentials.mul_(*shrink).add_(weights->sum(1, false, at::kDouble));
}

}  // namespace

StreamedKl::Sums StreamedKl::Empty(int64_t tokens) {
  const auto wide = at::TensorOptions(at::kDouble);
  return {at::full({tokens}, -INFINITY, wide), at::zeros({tokens}, wide), at::zeros({tokens}, wide)};
}

StreamedKl::StreamedKl(int64_t tokens, int64_t models) : reference_(Empty(tokens)) {
  for (int64_t i = 0; i < models; ++i) models_.push_back(Empty(tokens));
}

void StreamedKl::Reference(int64_t first, const at::Tensor& logits) {
  first_ = first;
  logits_ = logits;
  const int64_t count = logits.size(0);
  TakeIn(logits, reference_.largest.narrow(0, first, count), reference_.exponentials.narrow(0, first, count), &weights_,
         &shrink_);
}

void StreamedKl::Model(int64_t index, const at::Tensor& logits) {
  Sums& sums = models_[static_cast<size_t>(index)];
  const int64_t count = logits.size(0);
  sums.differences.narrow(0, first_, count)
      .mul_(shrink_)
      .add_((weights_ * (logits_ - logits)).sum(1, false, at::kDouble));
  at::Tensor weights, shrink;
  TakeIn(logits, sums.largest.narrow(0, first_, count), sums.exponentials.narrow(0, first_, count), &weights, &shrink);
}

std::vector<double> StreamedKl::Means() const {
  std::vector<double> means;
  const at::Tensor reference = reference_.largest + reference_.exponentials.log();
  for (const Sums& sums : models_) {
    const at::Tensor kl =
        sums.differences / reference_.exponentials - reference + sums.largest + sums.exponentials.log();
    means.push_back(std::max(0.0, kl.mean().item<double>()));  // below zero only by rounding
  }
  return means;
}

std::vector<double> Divergences(const Checkpoint& in, const at::Tensor& reference,
                                const std::vector<at::Tensor>& models, const HeadOfModel& head) {
  ReturnFreeMemory();  // what running blocks has left would come on top of the logits
  const at::Tensor norm = at::tensor(in.ReadFloats(Find(in.table(), Role::kFinalNorm)));
  const auto normed = [&](const at::Tensor& states) {
    return RmsNorm(states, norm, in.config().rms_norm_eps).flatten(0, 1);
  };
  const at::Tensor expected = normed(reference);
  std::vector<at::Tensor> found;
  found.reserve(models.size());
  for (const at::Tensor& states : models) found.push_back(normed(states));
  StreamedKl kl(expected.size(0), std::ssize(models));
  ForHeadRows(in.Head(), [&](int64_t first, const at::Tensor& rows) {
    std::vector<at::Tensor> heads;
    heads.reserve(models.size());
    for (size_t i = 0; i < models.size(); ++i) heads.push_back(head ? head(i, first, rows) : rows);
    ForWindowBatches(expected.size(0), 1, [&](int64_t token, int64_t tokens) {
      kl.Reference(token, at::linear(expected.narrow(0, token, tokens), rows));
      for (size_t i = 0; i < models.size(); ++i)
        kl.Model(static_cast<int64_t>(i), at::linear(found[i].narrow(0, token, tokens), heads[i]));
    });
  });
  in.DropPages(-1);
  return kl.Means();
}

int64_t SampleWindows(int64_t sample_tok, int64_t window_tok, int64_t windows) {
  return std::clamp<int64_t>(sample_tok / window_tok, 1, windows);
}

uint64_t DivergenceBytes(const ModelConfig& config, int64_t tokens) {
  // Of the original and of the model logits and weights, what is made of them, and that in double to be summed up.
  return static_cast<uint64_t>(7 * 4 * std::min(kWalkBatchTok, tokens) * kHeadRows +
                               2 * 4 * kHeadRows * config.hidden_size);
}

}  // namespace ecld
