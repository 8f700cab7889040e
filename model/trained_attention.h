#pragma once
// Causal attention with gradients, for training. Scores are made for some queries at a time, against the keys that they
// see, and made again on the way back (Dao et al. 2022, arXiv 2205.14135, section 3.1 and algorithm 4): they are never
// held whole, and half of them never made. Keys and values that several heads share are not copied for each.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace ecld {

// As CausalAttention (operations.h), float32 in and out. Scores and their softmax are float32; the other products take
// their factors in `products`.
at::Tensor TrainedAttention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, int64_t window,
                            double query_scalar, at::ScalarType products);

}  // namespace ecld
