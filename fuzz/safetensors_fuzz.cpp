// Bytes as a whole safetensors file: the header is either refused with an Error, or every tensor lies inside the file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <span>
#include <string>

#include "checkpoint/safetensors.h"
#include "core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  std::map<std::string, ecld::TensorView, std::less<>> tensors;
  std::map<std::string, std::string> metadata;
  try {
    ecld::ParseSafetensors(file, "input", &tensors, &metadata);
  } catch (const ecld::Error&) {
    return 0;
  }
  for (const auto& [name, tensor] : tensors) {
    const auto elements = static_cast<uint64_t>(tensor.Elements());
    if (tensor.bytes.size() != elements * ecld::SizeOf(tensor.dtype)) std::abort();
    if (tensor.bytes.empty()) continue;
    if (tensor.bytes.data() < file.data() || &tensor.bytes.back() > &file.back()) std::abort();
  }
  return 0;
}
