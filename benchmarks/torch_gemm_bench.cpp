// The dense products of ECLD beside LibTorch's (at::linear, bfloat16 weights and activations) over the matrices of
// shape files, both on the same cold weights, in alternating runs.
//   torch_gemm_bench benchmarks/shapes/llama-3.2-1b.txt

#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <exception>
#include <vector>

#include "kernels/gemm/gemm.h"
#include "measure/kernel_shapes.h"
#include "measure/kernel_weights.h"
#include "measure/measure.h"

namespace ecld {
namespace {

constexpr int64_t kRows[] = {1, 4, 16, 512};
constexpr int kRounds = 5;  // of which each times both, one after the other

double TimeOurs(const std::vector<WeightView>& weights, const at::Tensor& x, ThreadPool& pool) {
  std::vector<float> y(static_cast<size_t>(x.size(0) * weights[0].out_features));
  GemmScratch scratch;
  GemmArgs args{.x = x.const_data_ptr<float>(), .m = x.size(0), .y = y.data(), .exact = false};
  size_t next = 0;
  return Measure([&] {
           args.weight = weights[next++ % weights.size()];
           Gemm(std::span(&args, 1), pool, scratch);
         })
      .median_ms;
}

double TimeTorch(const std::vector<WeightView>& weights, const at::Tensor& x) {
  std::vector<at::Tensor> tensors;
  for (const WeightView& view : weights)
    tensors.push_back(at::from_blob(const_cast<std::byte*>(view.data), {view.out_features, view.in_features},
                                    at::TensorOptions(at::kBFloat16)));
  const at::Tensor rounded = x.to(at::kBFloat16);
  size_t next = 0;
  return Measure([&] { at::linear(rounded, tensors[next++ % tensors.size()]); }).median_ms;
}

void Compare(const std::string& file, ThreadPool& pool) {
  for (const KernelShape& shape : ReadKernelShapes(file)) {
    if (shape.op != "gemm") continue;
    const int64_t n = shape.sizes[0], k = shape.sizes[1];
    const ColdWeights weights(n, k, std::nullopt, false, pool);
    for (int64_t m : kRows) {
      const at::Tensor x = at::randn({m, k});
      std::vector<double> ours_ms, torch_ms;
      for (int round = 0; round < kRounds; ++round) {
        ours_ms.push_back(TimeOurs(weights.views(), x, pool));
        torch_ms.push_back(TimeTorch(weights.views(), x));
      }
      const double ours = Quantile(ours_ms, 0.5), torch = Quantile(torch_ms, 0.5);
      fmt::print("{:<8}  {:>6} x {:<6}  m {:<4}  {:>9.4f} ms  torch {:>9.4f} ms  {:>5.2f} times as fast\n", shape.name,
                 n, k, m, ours, torch, torch / ours);
    }
  }
}

}  // namespace
}  // namespace ecld

int main(int argc, char** argv) {
  try {
    const c10::InferenceMode no_gradients;
    ecld::ThreadPool pool;
    at::set_num_threads(pool.size());
    for (int i = 1; i < argc; ++i) ecld::Compare(argv[i], pool);
    return argc > 1 ? 0 : (fmt::print(stderr, "usage: torch_gemm_bench SHAPES...\n"), 2);
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
