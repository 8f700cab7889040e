#pragma once
// One kernel ready to be timed on one problem, with inputs of its own: what `bench kernels` and the profile's ops.csv
// both measure. Weights, of which there may be several copies, are used in turn, so that they come from memory as they
// do in a model; activations are as warm as the layer before leaves them.

#include <functional>
#include <string>
#include <vector>

#include "checkpoint/config.h"
#include "core/threads.h"
#include "kernels/attention/kv.h"
#include "kernels/packing/weight_view.h"

namespace ecld {

struct KernelCase {
  std::string kernel;  // name of the implementation
  bool exact = true;   // false: it rounds the activations
  double flop = 0;
  double bytes = 0;           // read and written once: weights or cache as stored, activations as float32
  std::function<void()> run;  // keeps the inputs and outputs; the weights and the pool are the caller's
};

// Every implementation of the product of m rows that supports this weight: with float32 activations, or with rounded
// ones where it is made for those alone. weights: at least one, all of one shape and format.
std::vector<KernelCase> GemmCases(const std::vector<WeightView>& weights, int64_t m, ThreadPool& pool);

// rows new tokens of one sequence, the last of them at position context - 1. caches: so many, of as many layers, are
// used in turn. REQUIRES: rows <= context, caches > 0.
std::vector<KernelCase> AttentionCases(int64_t rows, int64_t context, int64_t heads, const KvShape& shape,
                                       int64_t caches, ThreadPool& pool);

// rms_norm, the gate and add of rows of this width, rotate of rows of heads; rows are dealt to the threads.
std::vector<KernelCase> NormCases(int64_t rows, int64_t width, ThreadPool& pool);
std::vector<KernelCase> RopeCases(int64_t rows, int64_t heads, int64_t head_dim, ThreadPool& pool);
std::vector<KernelCase> GateCases(Activation activation, int64_t rows, int64_t width, ThreadPool& pool);
std::vector<KernelCase> AddCases(int64_t rows, int64_t width, ThreadPool& pool);

}  // namespace ecld
