#include "core/memory.h"

#include <malloc.h>

#include <fstream>
#include <string>
#include <string_view>

namespace ecld {
namespace {

// A "Key:   123 kB" line of a /proc file, in bytes; 0 where the kernel does not say.
uint64_t ProcBytes(const char* file, std::string_view key) {
  std::ifstream stream(file);
  std::string line;
  while (std::getline(stream, line))
    if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ':')
      return std::stoull(line.substr(key.size() + 1)) * 1024;
  return 0;
}

}  // namespace

uint64_t PeakResidentBytes() { return ProcBytes("/proc/self/status", "VmHWM"); }
uint64_t ResidentBytes() { return ProcBytes("/proc/self/status", "VmRSS"); }
uint64_t AnonymousBytes() { return ProcBytes("/proc/self/status", "RssAnon"); }
void ResetPeakResident() { std::ofstream("/proc/self/clear_refs") << "5"; }
void ReturnFreeMemory() { malloc_trim(0); }
void KeepFreeMemory(uint64_t bytes) {
  mallopt(M_MMAP_THRESHOLD, 16 << 20);
  mallopt(M_TRIM_THRESHOLD, static_cast<int>(bytes));
}
uint64_t AvailableMemoryBytes() { return ProcBytes("/proc/meminfo", "MemAvailable"); }
uint64_t TotalMemoryBytes() { return ProcBytes("/proc/meminfo", "MemTotal"); }

}  // namespace ecld
