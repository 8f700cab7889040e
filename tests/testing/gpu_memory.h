#pragma once
// Memory of the executor (gpu_executor.h) that knows what may be read: global memory as ranges that a test has named,
// and a block's shared memory with, for every byte, who wrote and read it since the last barrier.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "tests/testing/gpu_fibers.h"

namespace ecld {

class GpuGlobalMemory {
 public:
  void Readable(const void* begin, size_t bytes) { ranges_.push_back({Address(begin), bytes, false}); }
  void Writable(const void* begin, size_t bytes) { ranges_.push_back({Address(begin), bytes, true}); }

  // What a kernel still running ahead of this one may read or write: not to be touched before WaitForPrevious.
  void AfterPrevious(const void* begin, size_t bytes) { late_.push_back({Address(begin), bytes, false}); }
  void AllAfterPrevious() { late_ = ranges_; }

  // waited: for the kernel ahead of this one.
  void Check(const void* at, size_t bytes, size_t alignment, bool write, bool waited) const {
    if (Address(at) % alignment != 0)
      throw GpuFault("global access of " + std::to_string(bytes) + " bytes is not on " + std::to_string(alignment));
    if (!waited)
      for (const Range& range : late_)
        if (Address(at) < range.begin + range.bytes && range.begin < Address(at) + bytes)
          throw GpuFault("global access before the kernel ahead has ended");
    if (last_ < ranges_.size() && ranges_[last_].Holds(Address(at), bytes) && (!write || ranges_[last_].writable))
      return;
    for (size_t i = 0; i < ranges_.size(); ++i)
      if (ranges_[i].Holds(Address(at), bytes)) {
        if (write && !ranges_[i].writable) throw GpuFault("global write to an input");
        last_ = i;
        return;
      }
    throw GpuFault(std::string("global ") + (write ? "write" : "read") + " out of bounds");
  }

 private:
  struct Range {
    uintptr_t begin;
    size_t bytes;
    bool writable;
    bool Holds(uintptr_t at, size_t count) const { return at >= begin && at + count <= begin + bytes; }
  };
  static uintptr_t Address(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

  std::vector<Range> ranges_, late_;
  mutable size_t last_ = 0;  // that held an access
};

// Two accesses by different threads to a byte, one of them a write, need a barrier between them.
class GpuSharedMemory {
 public:
  static constexpr int kCopy = -3;  // for `thread`: copies that are ordered by other means than the block's barriers

  // As a launch leaves it: nothing written.
  void Reset(size_t bytes) {
    bytes_.assign(bytes, std::byte{0});
    shadow_.assign(bytes, Shadow{});
    epoch_ = 1;
  }

  void NextEpoch() { ++epoch_; }  // at a barrier

  void Read(uint32_t offset, size_t bytes, size_t alignment, int thread, void* out) {
    Bounds(offset, bytes, alignment, "read");
    for (size_t i = offset; i < offset + bytes; ++i) {
      Shadow& byte = shadow_[i];
      if (byte.pending) Fault("read while a copy into it is under way", i, thread, byte.writer);
      if (byte.write_epoch == 0) Fault("read before anything was written", i, thread, -1);
      if (byte.write_epoch == epoch_ && byte.writer != thread && byte.writer != kCopy)
        Fault("read without a barrier after the write", i, thread, byte.writer);
      byte.reader = byte.read_epoch == epoch_ && byte.reader != thread ? kSeveral : thread;
      byte.read_epoch = epoch_;
    }
    std::memcpy(out, bytes_.data() + offset, bytes);
  }

  void Write(uint32_t offset, size_t bytes, size_t alignment, int thread, const void* values) {
    MarkWritten(offset, bytes, alignment, thread);
    std::memcpy(bytes_.data() + offset, values, bytes);
  }

  // A copy that begins now and whose bytes arrive with FinishCopy.
  void BeginCopy(uint32_t offset, size_t bytes, size_t alignment, int thread) {
    MarkWritten(offset, bytes, alignment, thread);
    for (size_t i = offset; i < offset + bytes; ++i) shadow_[i].pending = true;
  }

  void FinishCopy(uint32_t offset, size_t bytes, int thread, const void* values) {
    for (size_t i = offset; i < offset + bytes; ++i) {
      shadow_[i].pending = false;
      shadow_[i].writer = thread;
      shadow_[i].write_epoch = epoch_;
    }
    std::memcpy(bytes_.data() + offset, values, bytes);
  }

 private:
  static constexpr int kSeveral = -2;

  struct Shadow {
    int writer = -1, reader = -1;
    int64_t write_epoch = 0, read_epoch = 0;  // 0: never
    bool pending = false;
  };

  void MarkWritten(uint32_t offset, size_t bytes, size_t alignment, int thread) {
    Bounds(offset, bytes, alignment, "write");
    for (size_t i = offset; i < offset + bytes; ++i) {
      Shadow& byte = shadow_[i];
      if (byte.pending) Fault("write while a copy into it is under way", i, thread, byte.writer);
      if (thread == kCopy) continue;
      if (byte.write_epoch == epoch_ && byte.writer != thread)
        Fault("write without a barrier after another write", i, thread, byte.writer);
      if (byte.read_epoch == epoch_ && byte.reader != thread)
        Fault("write without a barrier after a read", i, thread, byte.reader);
      byte.writer = thread;
      byte.write_epoch = epoch_;
    }
  }

  void Bounds(uint32_t offset, size_t bytes, size_t alignment, const char* what) const {
    if (offset % alignment != 0)
      throw GpuFault("shared access at " + std::to_string(offset) + " is not on " + std::to_string(alignment));
    if (offset + bytes > bytes_.size())
      throw GpuFault(std::string("shared ") + what + " out of bounds: " + std::to_string(offset) + " of " +
                     std::to_string(bytes_.size()));
  }

  [[noreturn]] static void Fault(const char* what, size_t offset, int thread, int other) {
    throw GpuFault(
        std::string("shared ") + what + ": byte " + std::to_string(offset) + ", thread " + std::to_string(thread) +
        (other >= 0 ? " and thread " + std::to_string(other) : std::string(other == -2 ? " and others" : "")));
  }

  std::vector<std::byte> bytes_;
  std::vector<Shadow> shadow_;
  int64_t epoch_ = 1;
};

}  // namespace ecld
