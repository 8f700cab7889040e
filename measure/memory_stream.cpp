#include "measure/memory_stream.h"

#include <algorithm>
#include <atomic>
#include <fstream>

#include "core/log.h"

namespace ecld {

// (sysconf's figure is several times too large on some processors.)
uint64_t LastCacheBytes() {
  uint64_t largest_KiB = 0;
  for (int index = 0; index < 8; ++index) {
    std::ifstream stream(fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/size", index));
    uint64_t size_KiB = 0;  // "32768K"
    if (stream >> size_KiB) largest_KiB = std::max(largest_KiB, size_KiB);
  }
  return largest_KiB > 0 ? largest_KiB << 10 : uint64_t{32} << 20;
}

MemoryStream::MemoryStream(uint64_t bytes, ThreadPool& pool) : words_(bytes / sizeof(uint64_t)), pool_(pool) {}

void MemoryStream::Read() {
  std::atomic<uint64_t> sink = 0;  // keeps the sums, and so the reads, from being left out
  pool_.ParallelFor(static_cast<int64_t>(words_.size()), 1, [&](int64_t begin, int64_t end) {
    uint64_t sum = 0;
    for (int64_t i = begin; i < end; ++i) sum += words_[static_cast<size_t>(i)];
    sink += sum;
  });
}

}  // namespace ecld
