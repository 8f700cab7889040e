#pragma once
// What is done on a GPU between the matrix products of a decoding step, and products with dense weights: each a struct
// of pointers and counts that Queue turns into a launch. All pointers are to memory of the device; nothing is allocated
// or waited for. The shape of a launch depends on these structs alone: where in its text a sequence stands is read from
// memory, so that one CUDA graph serves every token. The same inputs give the same bits in every run.
//
// Rows are tokens of one sequence, one after the other. Hidden states and what products give are floats; what products
// take is of 16 bits. The bodies stand in the folders of their ops (elementwise/cuda, attention/cuda,
// gemm/cuda/dense_step.h) and run on the tests' executor too.

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/device.h"
#include "kernels/gemm/cuda/product.h"

namespace ecld {
struct KvView;
}

namespace ecld::cuda {

struct LaunchShape {
  int x = 1, y = 1, z = 1;
  uint32_t shared_bytes = 0;
};

// hidden[r] = the embedding of token r.
struct GatherStep {
  Product packed{};                 // its weights alone count; codes null: the table is dense
  int bits = 0;                     // of packed
  const uint16_t* table = nullptr;  // [vocab_size, table_stride]
  DType table_type = DType::kBF16;  // F16 or BF16
  int64_t table_stride = 0;
  const int32_t* tokens = nullptr;  // [rows], each within the table
  int rows = 0, width = 0;
  float* hidden = nullptr;  // [rows, width]
};

// hidden += add + bias, where they are given; out = hidden / sqrt(mean(hidden^2) + eps) * weight (Zhang and Sennrich
// 2019, equation 4).
struct NormStep {
  float* hidden = nullptr;        // [rows, width]
  const float* add = nullptr;     // [rows, width]
  const float* bias = nullptr;    // [width]; only with add
  const float* weight = nullptr;  // [width]
  float eps = 0;
  int rows = 0, width = 0;
  DType type = DType::kF16;  // of out: F16 or BF16
  uint16_t* out = nullptr;   // [rows, out_stride]
  int64_t out_stride = 0;
};

// Keys and values of one sequence in one layer, as kernels/attention/kv.h draws them: F16 or 8 bits with scales.
struct KvMemory {
  bool q8 = false;
  int num_heads = 0, head_dim = 0;
  int value_stride = 0;  // elements from position to position
  int64_t capacity = 0;  // positions, a multiple of 32
  std::byte *keys = nullptr, *values = nullptr;
  float *key_scales = nullptr, *value_scales = nullptr;  // [num_heads, capacity]; only q8
};

// view.data: on the device. REQUIRES: f16 or q8.
KvMemory KvMemoryOf(const KvView& view);

inline constexpr int kMaxHeadDim = 256;

// What a product gave for query, key and value: bias added, heads normed where the model does, query and key turned to
// their positions (Su et al. 2021, equation 34, halves of a head paired), keys and values stored.
// REQUIRES: head_dim is even and at most kMaxHeadDim; all positions are below the capacity.
struct RotateStep {
  const float* y = nullptr;           // [rows, (num_heads + 2 kv.num_heads) * head_dim]: query, key, value
  const float* bias = nullptr;        // of a row of y; null: none
  const float* query_norm = nullptr;  // [head_dim]; null: none, as key_norm
  const float* key_norm = nullptr;
  float eps = 0;
  const float* cosine = nullptr;  // [capacity, head_dim / 2]
  const float* sine = nullptr;
  const int32_t* position = nullptr;  // of row 0
  int rows = 0, num_heads = 0;
  KvMemory kv;
  float* query = nullptr;  // [rows, num_heads, head_dim]
};

// Causal attention (kernels/attention/attention.h) of rows over what is stored. Each key head's positions are dealt to
// `splits` blocks of threads; the block of a row that ends last adds their sums in their order.
struct AttendStep {
  const float* query = nullptr;  // [rows, num_heads, head_dim]
  KvMemory kv;
  const int32_t* position = nullptr;  // of row 0
  int rows = 0, num_heads = 0;
  int window = 0;  // 0: none
  int splits = 1;
  float scale = 1;               // of query . key
  float* parts = nullptr;        // AttendPartFloats(...); only where splits > 1
  uint32_t* counters = nullptr;  // [rows, num_heads], zero before the first launch; each leaves them so
  DType type = DType::kF16;      // of out: F16 or BF16
  uint16_t* out = nullptr;       // [rows, out_stride], row: [num_heads, head_dim]
  int64_t out_stride = 0;
};

// Parts into which positions are dealt so that some hundred blocks run whatever the model: of the shape alone, so that
// it changes no bits whether text came before.
int AttendSplits(int num_kv_heads, int rows, int64_t capacity);
int64_t AttendPartFloats(const AttendStep& step);

// out = gate / (1 + e^-gate) * up (Shazeer 2020, equation 5, with SiLU).
struct GateStep {
  const float* y = nullptr;     // [rows, 2 * width]: gate, up
  const float* bias = nullptr;  // [2 * width]; null: none
  int rows = 0, width = 0;
  DType type = DType::kF16;  // of out: F16 or BF16
  uint16_t* out = nullptr;   // [rows, out_stride]
  int64_t out_stride = 0;
};

inline constexpr int kArgmaxMostBlocks = 64;

// The token of the largest logit, the lower id on a tie; -1 where a logit is not finite. And the text grows by one.
struct ArgmaxStep {
  const float* logits = nullptr;
  int count = 0;
  float* best = nullptr;        // [kArgmaxMostBlocks]
  int32_t* best_ids = nullptr;  // [kArgmaxMostBlocks]
  uint32_t* counter = nullptr;  // zero before the first launch; each leaves it so
  int32_t* token = nullptr;     // is set
  int32_t* position = nullptr;  // is increased
};

// y = x * weight^T with dense weights. For more than a few rows each is read several times.
struct DenseStep {
  const uint16_t* weight = nullptr;  // [out_features, weight_stride], on 16 bytes
  DType weight_type = DType::kBF16;  // F16 or BF16
  int64_t weight_stride = 0;         // a multiple of 8, as x_stride
  const uint16_t* x = nullptr;       // [rows, x_stride], on 16 bytes; what lies beyond in_features is not looked at
  DType type = DType::kF16;          // F16 or BF16
  int64_t x_stride = 0;
  int rows = 0, out_features = 0, in_features = 0;
  float* y = nullptr;  // [rows, y_stride]
  int64_t y_stride = 0;
};

// THROW Error where this program was built without CUDA.
void Queue(const GatherStep& step, CudaStream stream);
void Queue(const NormStep& step, CudaStream stream);
void Queue(const RotateStep& step, CudaStream stream);
void Queue(const AttendStep& step, CudaStream stream);
void Queue(const GateStep& step, CudaStream stream);
void Queue(const ArgmaxStep& step, CudaStream stream);
void Queue(const DenseStep& step, CudaStream stream);

}  // namespace ecld::cuda
