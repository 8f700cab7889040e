#include "kernels/cuda/steps.h"

#include <algorithm>
#include <cassert>

#include "core/error.h"
#include "kernels/attention/kv.h"

namespace ecld::cuda {
namespace {

constexpr int64_t kAttendBlocks = 264;  // two for each of 132 multiprocessors
constexpr int64_t kAttendKeys = 128;    // that a block takes at once

#if !ECLD_HAS_CUDA
[[noreturn]] void NotBuilt() { Fail("", "this program was built without CUDA; configure with -DECLD_CUDA=ON"); }
#endif

}  // namespace

KvMemory KvMemoryOf(const KvView& view) {
  assert(view.shape.type == KvType::kF16 || view.shape.type == KvType::kQ8);
  return {.q8 = view.shape.type == KvType::kQ8,
          .num_heads = static_cast<int>(view.shape.num_kv_heads),
          .head_dim = static_cast<int>(view.shape.head_dim),
          .value_stride = static_cast<int>(view.shape.ValueStride()),
          .capacity = view.capacity,
          .keys = view.KeyBlock<std::byte>(0, 0),
          .values = view.ValueRow<std::byte>(0, 0),
          .key_scales = view.KeyScales(0),
          .value_scales = view.ValueScales(0)};
}

int AttendSplits(int num_kv_heads, int rows, int64_t capacity) {
  const int64_t most = (capacity + kAttendKeys - 1) / kAttendKeys;
  return static_cast<int>(
      std::clamp<int64_t>(kAttendBlocks / (int64_t{num_kv_heads} * rows), 1, std::max<int64_t>(1, most)));
}

int64_t AttendPartFloats(const AttendStep& step) {
  return step.splits == 1 ? 0 : int64_t{step.rows} * step.num_heads * step.splits * (step.kv.head_dim + 2);
}

#if !ECLD_HAS_CUDA
void Queue(const GatherStep&, CudaStream) { NotBuilt(); }
void Queue(const NormStep&, CudaStream) { NotBuilt(); }
void Queue(const RotateStep&, CudaStream) { NotBuilt(); }
void Queue(const AttendStep&, CudaStream) { NotBuilt(); }
void Queue(const GateStep&, CudaStream) { NotBuilt(); }
void Queue(const ArgmaxStep&, CudaStream) { NotBuilt(); }
void Queue(const DenseStep&, CudaStream) { NotBuilt(); }
#endif

}  // namespace ecld::cuda
