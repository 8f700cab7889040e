#include "kernels/cuda/device.h"

#include <algorithm>
#include <vector>

#include "core/error.h"

#if ECLD_HAS_CUDA
#include "kernels/cuda/check.h"
#endif

namespace ecld {

#if ECLD_HAS_CUDA

using cuda::Check;

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
  char bus_id[32] = {};
  Check(cudaDeviceGetPCIBusId(bus_id, sizeof(bus_id), 0), "the address of device 0");
  return CudaDevice{.ordinal = 0,
                    .name = properties.name,
                    .compute_capability = properties.major * 10 + properties.minor,
                    .multiprocessors = properties.multiProcessorCount,
                    .pci_bus_id = bus_id};
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

void CudaBuffer::Upload(const void* source, uint64_t bytes) { cuda::CopyToDevice(data_, source, bytes); }
void CudaBuffer::Download(void* target, uint64_t bytes) const { cuda::CopyFromDevice(target, data_, bytes); }
void CudaBuffer::Clear() {
  Check(cudaMemset(data_, 0, size_), "clear memory of the device");
  Check(cudaStreamSynchronize(nullptr), "clear memory of the device");
}

uint64_t cuda::CaptureOf(CudaStream stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  unsigned long long id = 0;
  Check(cudaStreamGetCaptureInfo(stream, &status, &id, nullptr, nullptr, nullptr, nullptr), "what a stream does");
  return status == cudaStreamCaptureStatusNone ? 0 : id;
}

void cuda::CopyToDevice(std::byte* to, const void* from, uint64_t bytes) {
  Check(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice), "copy to the device");
  // A copy of a little may be under way still, and streams of their own do not wait for it.
  Check(cudaStreamSynchronize(nullptr), "copy to the device");
}

void cuda::CopyFromDevice(void* to, const std::byte* from, uint64_t bytes) {
  Check(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost), "copy from the device");
}

double cuda::MeasureCopyBps() {
  constexpr uint64_t kBytes = 256 << 20;
  constexpr size_t kCopies = 11;
  const CudaBuffer from(kBytes), to(kBytes);
  cudaEvent_t begin, end;
  Check(cudaEventCreate(&begin), "an event");
  Check(cudaEventCreate(&end), "an event");
  std::vector<float> times_ms(kCopies);
  for (float& time_ms : times_ms) {
    Check(cudaEventRecord(begin, nullptr), "an event");
    Check(cudaMemcpyAsync(to.data(), from.data(), kBytes, cudaMemcpyDeviceToDevice, nullptr), "a copy");
    Check(cudaEventRecord(end, nullptr), "an event");
    Check(cudaEventSynchronize(end), "a copy");
    Check(cudaEventElapsedTime(&time_ms, begin, end), "an event");
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  std::sort(times_ms.begin(), times_ms.end());
  return 2e3 * static_cast<double>(kBytes) / times_ms[kCopies / 2];
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
void CudaBuffer::Clear() {}
uint64_t cuda::CaptureOf(CudaStream) { return 0; }
void cuda::CopyToDevice(std::byte*, const void*, uint64_t) {}
void cuda::CopyFromDevice(void*, const std::byte*, uint64_t) {}
double cuda::MeasureCopyBps() { return 0; }

#endif

}  // namespace ecld
