// A library with the functions of cuBLAS that ECLD calls, which computes on the CPU and refuses what a caller must not
// do. Built as a shared object for tests/kernels/cuda.

#include <cstddef>
#include <cstdint>

#include "core/dtype.h"

struct CUstream_st;

namespace {

struct Handle {
  void* workspace = nullptr;
  int math_mode = 0;
};

constexpr int kSuccess = 0, kInvalidValue = 7;

float Element(int type, const void* matrix, int64_t at) {
  const uint16_t bits = static_cast<const uint16_t*>(matrix)[at];
  return type == 2 ? ecld::HalfToFloat(bits) : ecld::Bf16ToFloat(bits);
}

}  // namespace

extern "C" {

int cublasCreate_v2(void** handle) {
  *handle = new Handle;
  return kSuccess;
}

int cublasDestroy_v2(void* handle) {
  delete static_cast<Handle*>(handle);
  return kSuccess;
}

// As the library does: the workspace given before is forgotten.
int cublasSetStream_v2(void* handle, CUstream_st*) {
  static_cast<Handle*>(handle)->workspace = nullptr;
  return kSuccess;
}

int cublasSetWorkspace_v2(void* handle, void* workspace, size_t bytes) {
  if (reinterpret_cast<uintptr_t>(workspace) % 256 != 0 || bytes < (32 << 20)) return kInvalidValue;
  static_cast<Handle*>(handle)->workspace = workspace;
  return kSuccess;
}

int cublasSetMathMode(void* handle, int mode) {
  static_cast<Handle*>(handle)->math_mode = mode;
  return kSuccess;
}

const char* cublasGetStatusString(int status) { return status == kInvalidValue ? "an invalid value" : "?"; }

// Column by column: c [m, n] = op(a) [m, k] * op(b) [k, n].
int cublasGemmEx(void* handle, int op_a, int op_b, int m, int n, int k, const void* alpha, const void* a, int type_a,
                 int lda, const void* b, int type_b, int ldb, const void* beta, void* c, int type_c, int ldc,
                 int compute, int algorithm) {
  const auto* state = static_cast<const Handle*>(handle);
  const bool types =
      (type_a == 2 || type_a == 14) && type_b == type_a && (type_c == type_a || type_c == 0) && compute == 68;
  const bool sizes = lda >= (op_a != 0 ? k : m) && ldb >= (op_b != 0 ? n : k) && ldc >= m && m > 0 && n > 0 && k > 0;
  if (!types || !sizes || algorithm != -1 || state->workspace == nullptr || state->math_mode != 16 ||
      *static_cast<const float*>(beta) != 0)
    return kInvalidValue;
  for (int64_t column = 0; column < n; ++column)
    for (int64_t row = 0; row < m; ++row) {
      double sum = 0;
      for (int64_t i = 0; i < k; ++i)
        sum += double{Element(type_a, a, op_a != 0 ? row * lda + i : i * lda + row)} *
               Element(type_b, b, op_b != 0 ? i * ldb + column : column * ldb + i);
      const auto value = static_cast<float>(sum) * *static_cast<const float*>(alpha);
      if (type_c == 0) {
        static_cast<float*>(c)[column * ldc + row] = value;
        continue;
      }
      static_cast<uint16_t*>(c)[column * ldc + row] = type_c == 2 ? ecld::FloatToHalf(value) : ecld::FloatToBf16(value);
    }
  return kSuccess;
}

}  // extern "C"
