#include "quantize/streamed_kl.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

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

}  // namespace ecld
