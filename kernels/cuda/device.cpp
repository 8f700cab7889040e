#include "kernels/cuda/device.h"

#include "core/error.h"

#if ECLD_HAS_CUDA
#include <cuda_runtime_api.h>
#endif

namespace ecld {

#if ECLD_HAS_CUDA
namespace {

void Check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) Fail("CUDA", "{}: {}", what, cudaGetErrorString(status));
}

}  // namespace

bool BuiltWithCuda() { return true; }

std::optional<CudaDevice> FindCudaDevice(std::string* why) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    cudaGetLastError();  // else the next call would report it
    if (why) *why = status == cudaSuccess ? "no CUDA device" : cudaGetErrorString(status);
    return std::nullopt;
  }
  cudaDeviceProp properties;
  Check(cudaGetDeviceProperties(&properties, 0), "the properties of device 0");
  return CudaDevice{.ordinal = 0,
                    .name = properties.name,
                    .compute_capability = properties.major * 10 + properties.minor,
                    .multiprocessors = properties.multiProcessorCount};
}

CudaBuffer::CudaBuffer(uint64_t bytes) : size_(bytes) {
  void* data = nullptr;
  if (cudaMalloc(&data, bytes) != cudaSuccess) {
    size_t free = 0, total = 0;
    cudaGetLastError();
    cudaMemGetInfo(&free, &total);
    Fail("CUDA", "the device has {} bytes left, {} are needed", free, bytes);
  }
  data_ = static_cast<std::byte*>(data);
}

CudaBuffer::~CudaBuffer() { cudaFree(data_); }

void CudaBuffer::Upload(const void* source, uint64_t bytes) {
  Check(cudaMemcpy(data_, source, bytes, cudaMemcpyHostToDevice), "copy to the device");
}

void CudaBuffer::Download(void* target, uint64_t bytes) const {
  Check(cudaMemcpy(target, data_, bytes, cudaMemcpyDeviceToHost), "copy from the device");
}

void QueueCopy(CudaBuffer& to, const CudaBuffer& from, uint64_t bytes, CudaStream stream) {
  Check(cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToDevice, stream), "copy on the device");
}

void cuda::CheckLaunch(const char* kernel) { Check(cudaGetLastError(), kernel); }

#else

bool BuiltWithCuda() { return false; }

std::optional<CudaDevice> FindCudaDevice(std::string* why) {
  if (why) *why = "built without CUDA";
  return std::nullopt;
}

CudaBuffer::CudaBuffer(uint64_t) { Fail("CUDA", "this program was built without CUDA; configure with -DECLD_CUDA=ON"); }
CudaBuffer::~CudaBuffer() = default;
void CudaBuffer::Upload(const void*, uint64_t) {}
void CudaBuffer::Download(void*, uint64_t) const {}
void QueueCopy(CudaBuffer&, const CudaBuffer&, uint64_t, CudaStream) {}

#endif

}  // namespace ecld
