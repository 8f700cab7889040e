#include "kernels/cuda/tensor_map.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/shared_library.h"

namespace ecld::cuda {
namespace {

// cuda.h. Each enumeration is passed as an int.
constexpr int kHalf = 6, kBfloat16 = 9;  // CU_TENSOR_MAP_DATA_TYPE_FLOAT16, _BFLOAT16
constexpr int kNoInterleave = 0;         // CU_TENSOR_MAP_INTERLEAVE_NONE
constexpr int kSwizzle128B = 3;          // CU_TENSOR_MAP_SWIZZLE_128B
constexpr int kPromoteTo256B = 3;        // CU_TENSOR_MAP_L2_PROMOTION_L2_256B
constexpr int kZerosOutside = 0;         // CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE
using Encode = int(void* map, int type, uint32_t rank, void* address, const uint64_t* sizes, const uint64_t* strides,
                   const uint32_t* box, const uint32_t* element_strides, int interleave, int swizzle, int promotion,
                   int fill);

Encode* DriverEncode() {
  static const SharedLibrary driver = SharedLibrary::Open("the CUDA driver", {"libcuda.so.1", "libcuda.so"});
  static Encode* const encode = driver.Function<Encode>("cuTensorMapEncodeTiled");
  return encode;
}

}  // namespace

std::string TensorBoxProblem(const TensorBox& box) {
  if (reinterpret_cast<uintptr_t>(box.base) % 16 != 0) return "the matrix does not begin on 16 bytes";
  if (box.row_bytes % 16 != 0 || box.row_bytes >= uint64_t{1} << 40)
    return fmt::format("rows are {} bytes apart; it must be a multiple of 16 below 2^40", box.row_bytes);
  if (box.columns == 0 || box.rows == 0 || box.columns > uint64_t{1} << 32 || box.rows > uint64_t{1} << 32)
    return fmt::format("{} rows of {} elements; each must be 1 to 2^32", box.rows, box.columns);
  if (box.box_columns * 2 != 128 || box.box_rows < 1 || box.box_rows > 256)
    return fmt::format("a box of {} x {}; it must be of 1 to 256 rows of 64", box.box_rows, box.box_columns);
  return "";
}

TensorMap EncodeTensorMap(const TensorBox& box) {
  if (const std::string problem = TensorBoxProblem(box); !problem.empty()) Fail("tensor map", "{}", problem);
  const uint64_t sizes[] = {box.columns, box.rows}, strides[] = {box.row_bytes};
  const uint32_t taken[] = {box.box_columns, box.box_rows}, element_strides[] = {1, 1};
  TensorMap map;
  const int status =
      DriverEncode()(&map, box.type == DType::kF16 ? kHalf : kBfloat16, 2, const_cast<void*>(box.base), sizes, strides,
                     taken, element_strides, kNoInterleave, kSwizzle128B, kPromoteTo256B, kZerosOutside);
  if (status != 0) Fail("the CUDA driver", "cuTensorMapEncodeTiled: error {}", status);
  return map;
}

}  // namespace ecld::cuda
