#pragma once
// The GPU of this machine, if there is one, and memory on it. In a build without CUDA, or on a machine without a
// driver, there is none; the driver's library is opened only when somebody asks.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

struct CUstream_st;

namespace ecld {

using CudaStream = CUstream_st*;  // null: the default stream

struct CudaDevice {
  int ordinal = 0;
  std::string name;
  int compute_capability = 0;  // 90 for 9.0
  int multiprocessors = 0;
  std::string pci_bus_id;  // "0000:17:00.0"
};

// Whether this program was built with the CUDA kernels.
bool BuiltWithCuda();

// The first device, or none. When there is none and why is given, it says why.
std::optional<CudaDevice> FindCudaDevice(std::string* why = nullptr);

// Memory on the current device. THROWS Error when the device has too little.
class CudaBuffer {
 public:
  explicit CudaBuffer(uint64_t bytes);
  ~CudaBuffer();
  CudaBuffer(const CudaBuffer&) = delete;
  CudaBuffer& operator=(const CudaBuffer&) = delete;

  std::byte* data() const { return data_; }
  uint64_t size() const { return size_; }

  // Copies from or to the host and waits for it. REQUIRES: bytes <= size().
  void Upload(const void* source, uint64_t bytes);
  void Download(void* target, uint64_t bytes) const;
  void Clear();  // to zeros

 private:
  std::byte* data_ = nullptr;
  uint64_t size_ = 0;
};

// Queues a copy between places of the device. REQUIRES: bytes <= size() of both.
void QueueCopy(CudaBuffer& to, const CudaBuffer& from, uint64_t bytes, CudaStream stream);

namespace cuda {

// What the stream is being taken down in (a CUDA graph's capture), another number for each; 0: what it is given runs.
// THROWS Error when the driver refuses.
uint64_t CaptureOf(CudaStream stream);

// Copy between the host and memory of the device, and wait for it. THROW Error when the driver refuses.
void CopyToDevice(std::byte* to, const void* from, uint64_t bytes);
void CopyFromDevice(void* to, const std::byte* from, uint64_t bytes);

// Bytes that the device reads and writes per second, together, when it copies its memory: the median of several copies
// of 256 MB. What kernels that read weights are measured by.
double MeasureCopyBps();

// After a launch: THROWS Error when the driver refused it.
void CheckLaunch(const char* kernel);

}  // namespace cuda
}  // namespace ecld
