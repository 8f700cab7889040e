#pragma once
// The body of DenseStep, as a template over the machine it runs on (kernels/cuda). A warp makes one output of a few
// rows; its lanes take 8 weights at a time.

#include "kernels/elementwise/cuda/rows.h"

namespace ecld::cuda {

template <DType kWeight, DType kType, int kRows>
struct DenseKernel {
  static constexpr int kThreads = 256;
  static constexpr int kWarps = kThreads / 32;
  DenseStep step;

  LaunchShape Shape() const {
    return {.x = (step.out_features + kWarps - 1) / kWarps, .y = (step.rows + kRows - 1) / kRows};
  }

  template <DType kOf>
  ECLD_DEVICE static void Widen8(const Words4& words, float (&f)[8]) {
    ECLD_UNROLL
    for (int i = 0; i < 8; ++i) f[i] = ToFloat<kOf>(words.word[i / 2] >> 16 * (i % 2) & 0xffff);
  }

  // Grid: (outputs of all warps, groups of rows).
  template <class Machine>
  ECLD_DEVICE void operator()(Machine& machine) const {
    const int output = machine.BlockX() * kWarps + machine.Thread() / 32, lane = machine.Thread() % 32;
    if (output >= step.out_features) return;
    const int first = machine.BlockY() * kRows;
    const uint16_t* weight = step.weight + output * step.weight_stride;
    const uint16_t* x = step.x + first * step.x_stride;
    float sum[kRows] = {};
    const int whole = step.in_features / 8 * 8;
#if defined(__CUDACC__)
#pragma unroll 4
#endif
    for (int at = lane * 8; at < whole; at += 256) {
      float w[8], v[8];
      Widen8<kWeight>(machine.LoadOnce(reinterpret_cast<const Words4*>(weight + at)), w);
      ECLD_UNROLL
      for (int r = 0; r < kRows; ++r) {
        if (first + r >= step.rows) continue;
        Widen8<kType>(machine.Load(reinterpret_cast<const Words4*>(x + r * step.x_stride + at)), v);
        ECLD_UNROLL
        for (int i = 0; i < 8; ++i) sum[r] += w[i] * v[i];
      }
    }
    if (whole + lane < step.in_features) {
      const float w = ToFloat<kWeight>(machine.Load(weight + whole + lane));
      ECLD_UNROLL
      for (int r = 0; r < kRows; ++r)
        if (first + r < step.rows) sum[r] += w * ToFloat<kType>(machine.Load(x + r * step.x_stride + whole + lane));
    }
    ECLD_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const float total = WarpSum(machine, sum[r]);
      if (lane == 0 && first + r < step.rows) machine.Store(step.y + (first + r) * step.y_stride + output, total);
    }
  }
};

template <DType kWeight, DType kType, class Call>
void WithRows(const DenseStep& step, const Call& call) {
  if (step.rows == 1) return call(DenseKernel<kWeight, kType, 1>{step});
  call(DenseKernel<kWeight, kType, 4>{step});
}

template <class Call>
void WithKernel(const DenseStep& step, const Call& call) {
  const bool half = step.type == DType::kF16;
  if (step.weight_type == DType::kF16)
    return half ? WithRows<DType::kF16, DType::kF16>(step, call) : WithRows<DType::kF16, DType::kBF16>(step, call);
  half ? WithRows<DType::kBF16, DType::kF16>(step, call) : WithRows<DType::kBF16, DType::kBF16>(step, call);
}

}  // namespace ecld::cuda
