#include "measure/device.h"

#include <sched.h>
#include <sys/utsname.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>

#include "core/memory.h"
#include "measure/measure.h"
#include "measure/memory_stream.h"

namespace ecld {
namespace {

// The instruction set extensions that a kernel may ask for, as /proc/cpuinfo spells them.
constexpr std::string_view kKernelFeatures[] = {
    "avx2",        "fma",      "f16c",     "avx512f",  "avx512bw", "avx512vl", "avx512_vnni",
    "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16",                      // x86_64
    "asimd",       "asimddp",  "asimdhp",  "i8mm",     "bf16",     "sve",      "sve2",  // aarch64
};

// The value of the first line "key : value" of /proc/cpuinfo; "" where the kernel has no such line.
std::string CpuInfo(std::string_view key) {
  std::ifstream stream("/proc/cpuinfo");
  std::string line;
  while (std::getline(stream, line)) {
    size_t colon = line.find(':');
    if (!line.starts_with(key) || colon == std::string::npos) continue;
    if (line.find_first_not_of(" \t", key.size()) != colon) continue;
    size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

}  // namespace

DeviceFacts ReadDeviceFacts() {
  DeviceFacts facts;
  facts.vendor = CpuInfo("vendor_id");
  facts.cpu = CpuInfo("model name");
  utsname name{};
  if (uname(&name) == 0) {
    facts.isa = name.machine;
    facts.os = std::string(name.sysname) + " " + name.release;
  }
  if (facts.cpu.empty()) facts.cpu = facts.isa;

  std::istringstream flags(" " + CpuInfo("flags") + " " + CpuInfo("Features"));
  for (std::string flag; flags >> flag;)
    for (std::string_view known : kKernelFeatures)
      if (flag == known) facts.features.push_back(flag);

  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (sched_getaffinity(0, sizeof(cores), &cores) == 0) facts.cores = CPU_COUNT(&cores);
  facts.memory_B = TotalMemoryBytes();
  return facts;
}

double MeasureReadBandwidth(ThreadPool& pool) {
  // 128 MiB lie beyond the caches of edge devices; a small device gives what it can spare.
  MemoryStream stream(std::min<uint64_t>(uint64_t{128} << 20, AvailableMemoryBytes() / 4), pool);
  const Timing timing = Measure([&] { stream.Read(); });
  return static_cast<double>(stream.bytes()) / (timing.median_ms / 1000);
}

}  // namespace ecld
