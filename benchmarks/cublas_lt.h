#pragma once
// The fastest dense product of cuBLASLt among what its heuristics propose for a shape: the peer of the CUDA kernels.
// The library is opened when a program asks for it. Functions and constants as cublasLt.h of release 12 and 13 has
// them.

#include <array>
#include <cstdint>
#include <vector>

#include "core/error.h"
#include "core/shared_library.h"
#include "kernels/cuda/cublas.h"

namespace ecld {

class CublasLt {
 public:
  struct Algorithm {  // cublasLtMatmulHeuristicResult_t
    uint64_t algorithm[8];
    size_t workspace_bytes;
    int status;
    float waves;
    int reserved[4];
  };

  // A shape with its descriptors; they live as long as the process.
  struct Plan {
    void *operation = nullptr, *weight = nullptr, *x = nullptr, *y = nullptr;
    std::vector<Algorithm> algorithms;  // as the heuristics rank them
  };

  CublasLt() : library_(SharedLibrary::Open("cuBLASLt", {"libcublasLt.so.13", "libcublasLt.so.12"})) {
    Check(library_.Function<int(void**)>("cublasLtCreate")(&handle_), "cublasLtCreate");
  }

  // Up to `most` algorithms for products of this shape and these strides.
  Plan Prepare(const DenseProduct& p, int most) const {
    constexpr int kFloat = 0, kHalf = 2, kBfloat16 = 14, kCompute32F = 68, kTransposeA = 3, kMaxWorkspace = 1;
    const int type = p.type == DType::kF16 ? kHalf : kBfloat16, transposed = 1;
    const uint64_t workspace = kCublasWorkspaceBytes;
    Plan plan;
    Check(library_.Function<int(void**, int, int)>("cublasLtMatmulDescCreate")(&plan.operation, kCompute32F, kFloat),
          "cublasLtMatmulDescCreate");
    using Set = int(void*, int, const void*, size_t);
    Check(library_.Function<Set>("cublasLtMatmulDescSetAttribute")(plan.operation, kTransposeA, &transposed, 4),
          "cublasLtMatmulDescSetAttribute");
    const auto layout = [&](void** out, int64_t rows, int64_t columns, int64_t stride) {
      Check(library_.Function<int(void**, int, uint64_t, uint64_t, int64_t)>("cublasLtMatrixLayoutCreate")(
                out, type, static_cast<uint64_t>(rows), static_cast<uint64_t>(columns), stride),
            "cublasLtMatrixLayoutCreate");
    };
    layout(&plan.weight, p.k, p.n, p.weight_stride);
    layout(&plan.x, p.k, p.m, p.x_stride);
    layout(&plan.y, p.n, p.m, p.y_stride);
    void* preference = nullptr;
    Check(library_.Function<int(void**)>("cublasLtMatmulPreferenceCreate")(&preference),
          "cublasLtMatmulPreferenceCreate");
    Check(library_.Function<Set>("cublasLtMatmulPreferenceSetAttribute")(preference, kMaxWorkspace, &workspace, 8),
          "cublasLtMatmulPreferenceSetAttribute");
    plan.algorithms.resize(static_cast<size_t>(most));
    int found = 0;
    Check(library_.Function<int(void*, void*, void*, void*, void*, void*, void*, int, Algorithm*, int*)>(
              "cublasLtMatmulAlgoGetHeuristic")(handle_, plan.operation, plan.weight, plan.x, plan.y, plan.y,
                                                preference, most, plan.algorithms.data(), &found),
          "cublasLtMatmulAlgoGetHeuristic");
    plan.algorithms.resize(static_cast<size_t>(found));
    std::erase_if(plan.algorithms, [](const Algorithm& algorithm) { return algorithm.status != 0; });
    return plan;
  }

  // Queues the product. workspace: kCublasWorkspaceBytes.
  void Multiply(const Plan& plan, const Algorithm& algorithm, const DenseProduct& p, void* workspace,
                CudaStream stream) const {
    const float one = 1, zero = 0;
    using Matmul = int(void*, void*, const void*, const void*, void*, const void*, void*, const void*, const void*,
                       void*, void*, void*, const void*, void*, size_t, CudaStream);
    Check(library_.Function<Matmul>("cublasLtMatmul")(handle_, plan.operation, &one, p.weight, plan.weight, p.x, plan.x,
                                                      &zero, p.y, plan.y, p.y, plan.y, algorithm.algorithm, workspace,
                                                      kCublasWorkspaceBytes, stream),
          "cublasLtMatmul");
  }

 private:
  void Check(int status, const char* what) const {
    if (status != 0) Fail(library_.name(), "{}: status {}", what, status);
  }

  SharedLibrary library_;
  void* handle_ = nullptr;
};

}  // namespace ecld
