#pragma once
// Facts about the machine this process runs on, as far as the kernel tells them, and one measured figure: the rate
// at which memory is read. What cannot be known without instruments (power, peak arithmetic) is not guessed.

#include <cstdint>
#include <string>
#include <vector>

#include "core/threads.h"

namespace ecld {

struct DeviceFacts {
  std::string vendor;                 // "AuthenticAMD"
  std::string cpu;                    // model name as the kernel says it
  std::string isa;                    // "x86_64", "aarch64"
  std::vector<std::string> features;  // of those that kernels ask for: "avx2", "avx512_vnni", "neon", ...
  int cores = 0;                      // this process may use
  uint64_t memory_B = 0;
  std::string os;  // kernel name and release
};

DeviceFacts ReadDeviceFacts();

// Bytes per second read sequentially by all threads of the pool from a buffer much larger than the caches, in large
// pages; the median of several passes. Takes well under a second.
double MeasureReadBandwidth(ThreadPool& pool);

}  // namespace ecld
