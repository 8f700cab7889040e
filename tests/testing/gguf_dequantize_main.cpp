// gguf_dequantize <type> < blocks > floats: one tensor type ("Q4_K") from raw blocks to raw float32, for the oracle.

#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "checkpoint/gguf/gguf_dequantize.h"

namespace {

const ecld::GgmlTypeInfo* FindByName(const std::string& name) {
  for (uint32_t id = 0; id < 64; ++id) {
    const ecld::GgmlTypeInfo* info = ecld::FindGgmlType(id);
    if (info && info->name == name) return info;
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  const ecld::GgmlTypeInfo* info = argc == 2 ? FindByName(argv[1]) : nullptr;
  if (!info) {
    std::fprintf(stderr, "usage: gguf_dequantize <type> < blocks > floats; types: %s\n",
                 ecld::SupportedGgmlTypes().c_str());
    return 2;
  }
  std::string blocks(std::istreambuf_iterator<char>(std::cin), {});
  if (blocks.size() % static_cast<size_t>(info->block_bytes) != 0) {
    std::fprintf(stderr, "%zu bytes are not a whole number of blocks\n", blocks.size());
    return 1;
  }
  auto count = static_cast<int64_t>(blocks.size()) / info->block_bytes;
  std::vector<float> values(static_cast<size_t>(count * info->block_elements));
  ecld::Dequantize(info->type, reinterpret_cast<const std::byte*>(blocks.data()), count, values.data());
  std::fwrite(values.data(), sizeof(float), values.size(), stdout);
  return 0;
}
