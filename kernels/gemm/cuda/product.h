#pragma once
// What a CUDA kernel of the matrix product is given: the pointers and counts of CudaGemmArgs, worked out once.

#include <type_traits>

#include "kernels/cuda/device.h"
#include "kernels/cuda/lanes.h"

namespace ecld {

struct CudaGemmArgs;

namespace cuda {

struct Product {
  // layout.h
  const unsigned char* codes;
  const uint32_t* scales;  // two 16-bit scales
  const uint16_t* zeros;   // two zero points; null: all are middle_code
  uint32_t middle_code;
  bool half_scales;  // else bfloat16
  int group_shift;   // group of inputs 32 h .. 32 h + 31 = h >> group_shift
  int groups;
  int tiles_n, tiles_k;
  int out_features, in_features;

  const uint16_t* x;
  int64_t x_stride;
  int m;
  void* y;
  int64_t y_stride;
  bool wide_y;  // floats, else of the type of x

  int splits;          // parts of the inputs
  uint32_t* counters;  // [blocks of a part], zero
  float* parts;
};

// The product of rows [first, first + rows) of x, with the splits of mma.
Product MakeProduct(const CudaGemmArgs& args, int64_t first, int64_t rows);

// Parts into which the inputs are split: enough blocks for four on each of 132 multiprocessors, at least 4 tiles in
// each part. Of the weights' shape alone, so that a row's bits do not depend on m or on the device. wanted: another
// number, where it is not 0 and the outputs do not fill the device by themselves.
int64_t MmaSplits(int64_t tiles_n, int64_t tiles_k, int wanted);

// All of the product, with the splits of wgmma: as many as give each of 132 multiprocessors a block, of 8 tiles at
// least; or as wanted, where there are not too many blocks.
Product MakeWgmmaProduct(const CudaGemmArgs& args);
int64_t WgmmaSplits(int64_t tiles_n, int64_t tiles_k, int64_t m, int wanted);

// Rows of x that a block of that kernel takes, of those it exists for.
constexpr int WgmmaRows(int64_t m) { return m <= 64 ? 64 : 128; }

// Columns of 8 rows of x that a block of the tensor core kernel takes, of those it exists for: 1, 2, 4 and 6.
constexpr int MmaColumns(int64_t m) { return m <= 8 ? 1 : m <= 16 ? 2 : m <= 32 ? 4 : 6; }

// Calls call(bits, type) with both as constants (std::integral_constant), which the kernels are templates over.
template <class Call>
void WithFormat(int bits, DType type, const Call& call) {
  const auto with_bits = [&](auto constant_bits) {
    if (type == DType::kF16) return call(constant_bits, std::integral_constant<DType, DType::kF16>());
    call(constant_bits, std::integral_constant<DType, DType::kBF16>());
  };
  switch (bits) {
    case 2:
      return with_bits(std::integral_constant<int, 2>());
    case 3:
      return with_bits(std::integral_constant<int, 3>());
    case 4:
      return with_bits(std::integral_constant<int, 4>());
    default:
      return with_bits(std::integral_constant<int, 8>());
  }
}

// Queue the kernels, compiled by nvcc (gemv.cu, ...). type: of x and y.
void LaunchGemv(const Product& product, int bits, DType type, CudaStream stream);
void LaunchMma(const Product& product, int bits, DType type, CudaStream stream);
void LaunchWgmma(const Product& product, int bits, DType type, CudaStream stream);

// One element of the result.
template <DType kType, class Machine>
ECLD_DEVICE void StoreResult(Machine& machine, const Product& product, int64_t row, int output, float value) {
  const int64_t place = row * product.y_stride + output;
  if (product.wide_y)
    machine.Store(static_cast<float*>(product.y) + place, value);
  else
    machine.Store(static_cast<uint16_t*>(product.y) + place, FromFloat<kType>(value));
}

// The scales and zero points of outputs `row` and row + 8 of a slab in one group.
template <class Machine>
ECLD_DEVICE void LoadGroup(Machine& machine, const Product& product, int slab, int group, int row, float (&scale)[2],
                           uint32_t (&zero)[2]) {
  const int64_t place = (int64_t{slab / 4 * product.groups + group} * 4 + slab % 4) * 8 + row;
  const uint32_t scales = machine.Load(product.scales + place);
  for (int i = 0; i < 2; ++i) {
    const uint32_t bits = i == 0 ? scales & 0xffffu : scales >> 16;
    scale[i] = product.half_scales ? ToFloat<DType::kF16>(bits) : ToFloat<DType::kBF16>(bits);
    zero[i] = product.middle_code;
  }
  if (product.zeros == nullptr) return;
  const uint32_t zeros = machine.Load(product.zeros + place);
  zero[0] = zeros & 0xffu;
  zero[1] = zeros >> 8;
}

}  // namespace cuda
}  // namespace ecld
