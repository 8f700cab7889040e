#pragma once
// The dense matrix product of NVIDIA's cuBLAS, whose library is opened when it is first needed; the programs do not
// link it. Functions and constants as "cuBLAS Library User Guide" (v12, v13) declares them.

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "core/dtype.h"
#include "core/shared_library.h"
#include "kernels/cuda/device.h"

namespace ecld {

inline constexpr uint64_t kCublasWorkspaceBytes = 32 << 20;  // what the guide recommends for compute capability 9.0

// y[m, n] = x[m, k] * weight[n, k]^T, sums in float32; all rows of 16-bit floats, `stride` elements apart.
struct DenseProduct {
  DType type = DType::kF16;  // F16 or BF16
  int64_t m = 0, n = 0, k = 0;
  const void* weight = nullptr;
  int64_t weight_stride = 0;
  const void* x = nullptr;
  int64_t x_stride = 0;
  void* y = nullptr;
  int64_t y_stride = 0;
  bool wide_y = false;  // y holds floats, else type
};

class Cublas {
 public:
  // names: libraries to try, in order. THROWS Error when none opens or cuBLAS does not start.
  explicit Cublas(std::span<const std::string> names);
  ~Cublas();
  Cublas(const Cublas&) = delete;
  Cublas& operator=(const Cublas&) = delete;

  // Queues the product. workspace: kCublasWorkspaceBytes on 256 bytes, so that nothing is allocated and the product can
  // be captured in a graph. From any thread. THROWS Error when cuBLAS refuses.
  void Multiply(const DenseProduct& product, void* workspace, CudaStream stream) const;

  const std::string& name() const { return library_.name(); }  // of the library that opened

 private:
  struct Functions;
  void Check(int status, const char* what) const;

  SharedLibrary library_;
  std::unique_ptr<const Functions> functions_;
  void* handle_ = nullptr;
  mutable std::mutex mutex_;  // a handle serves one thread at a time
};

// The one of this process, for its current device, opened by the first call; null and why where there is none. The
// first call allocates on the device: not while a graph is captured.
const Cublas* FindCublas(std::string* why = nullptr);

}  // namespace ecld
