#pragma once
// Bytes of no meaning that all threads of a pool read: how fast memory is, and what a program's other data does to the
// caches between two uses of a weight.

#include <cstdint>
#include <vector>

#include "core/large_pages.h"
#include "core/threads.h"

namespace ecld {

// Of the machine's largest cache, as Linux says it; 32 MiB where it does not.
uint64_t LastCacheBytes();

class MemoryStream {
 public:
  MemoryStream(uint64_t bytes, ThreadPool& pool);  // bytes: rounded down to whole words
  void Read();
  uint64_t bytes() const { return words_.size() * sizeof(uint64_t); }

 private:
  std::vector<uint64_t, LargePages<uint64_t>> words_;
  ThreadPool& pool_;
};

}  // namespace ecld
