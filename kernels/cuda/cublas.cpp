#include "kernels/cuda/cublas.h"

#include <vector>

#include "core/error.h"

namespace ecld {
namespace {

// cublas_api.h and library_types.h.
constexpr int kNoTranspose = 0, kTranspose = 1;
constexpr int kFloat = 0, kHalf = 2, kBfloat16 = 14;  // CUDA_R_32F, CUDA_R_16F, CUDA_R_16BF
constexpr int kCompute32F = 68;
constexpr int kDefaultAlgorithm = -1;
constexpr int kSumsInFloat32 = 16;  // CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION

const std::vector<std::string>& Names() {
  static const std::vector<std::string> names = {"libcublas.so.13", "libcublas.so.12",
                                                 "/usr/local/cuda/lib64/libcublas.so.13",
                                                 "/usr/local/cuda/lib64/libcublas.so.12"};
  return names;
}

}  // namespace

struct Cublas::Functions {
  explicit Functions(const SharedLibrary& library)
      : create(library.Function<int(void**)>("cublasCreate_v2")),
        destroy(library.Function<int(void*)>("cublasDestroy_v2")),
        set_stream(library.Function<int(void*, CudaStream)>("cublasSetStream_v2")),
        set_workspace(library.Function<int(void*, void*, size_t)>("cublasSetWorkspace_v2")),
        set_math_mode(library.Function<int(void*, int)>("cublasSetMathMode")),
        status_text(library.Function<const char*(int)>("cublasGetStatusString")),
        gemm(library.Function<Gemm>("cublasGemmEx")) {}

  using Gemm = int(void*, int, int, int, int, int, const void*, const void*, int, int, const void*, int, int,
                   const void*, void*, int, int, int, int);
  int (*create)(void**);
  int (*destroy)(void*);
  int (*set_stream)(void*, CudaStream);
  int (*set_workspace)(void*, void*, size_t);
  int (*set_math_mode)(void*, int);
  const char* (*status_text)(int);
  Gemm* gemm;
};

Cublas::Cublas(std::span<const std::string> names)
    : library_(SharedLibrary::Open("cuBLAS", names)), functions_(std::make_unique<Functions>(library_)) {
  Check(functions_->create(&handle_), "cublasCreate");
  Check(functions_->set_math_mode(handle_, kSumsInFloat32), "cublasSetMathMode");
}

Cublas::~Cublas() { functions_->destroy(handle_); }

void Cublas::Check(int status, const char* what) const {
  if (status != 0) Fail(name(), "{}: {}", what, functions_->status_text(status));
}

void Cublas::Multiply(const DenseProduct& p, void* workspace, CudaStream stream) const {
  const float one = 1, zero = 0;
  const int type = p.type == DType::kF16 ? kHalf : kBfloat16;
  const auto as_int = [](int64_t value) { return static_cast<int>(value); };
  const std::lock_guard lock(mutex_);
  Check(functions_->set_stream(handle_, stream), "cublasSetStream");
  Check(functions_->set_workspace(handle_, workspace, kCublasWorkspaceBytes), "cublasSetWorkspace");
  // cuBLAS counts by columns: y^T [n, m] = weight [n, k] * x^T [k, m].
  Check(functions_->gemm(handle_, kTranspose, kNoTranspose, as_int(p.n), as_int(p.m), as_int(p.k), &one, p.weight, type,
                         as_int(p.weight_stride), p.x, type, as_int(p.x_stride), &zero, p.y, p.wide_y ? kFloat : type,
                         as_int(p.y_stride), kCompute32F, kDefaultAlgorithm),
        "cublasGemmEx");
}

const Cublas* FindCublas(std::string* why) {
  static std::string problem;
  // Never destroyed: the driver may be gone when the process ends.
  static const Cublas* const blas = []() -> const Cublas* {
    try {
      return new Cublas(Names());
    } catch (const Error& error) {
      problem = error.what();
      return nullptr;
    }
  }();
  if (blas == nullptr && why != nullptr) *why = problem;
  return blas;
}

}  // namespace ecld
