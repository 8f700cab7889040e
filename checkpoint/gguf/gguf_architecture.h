#pragma once
// Metadata of a GGUF file's architecture, as the readers of a model config look it up.

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/gguf/gguf_file.h"
#include "core/error.h"

namespace ecld {

// Metadata of the architecture: keys are looked up as "<architecture>.<name>".
class GgufArchitecture {
 public:
  explicit GgufArchitecture(const GgufContents& contents)
      : gguf(contents), name(contents.At("general.architecture").String()) {}

  const GgufValue* Find(std::string_view key) const { return gguf.Find(name + "." + std::string(key)); }
  const GgufValue& At(std::string_view key) const { return gguf.At(name + "." + std::string(key)); }

  // A size that may be stored per layer: the config formats we write have one for all layers.
  int64_t Size(const GgufValue& value) const {
    if (!value.IsArray()) return value.Int();
    std::vector<int64_t> sizes = value.Ints();
    if (sizes.empty() || std::count(sizes.begin(), sizes.end(), sizes[0]) != std::ssize(sizes)) {
      Fail(value.Where(), "differs from layer to layer, which is not supported");
    }
    return sizes[0];
  }
  int64_t Size(std::string_view key) const { return Size(At(key)); }
  int64_t SizeOr(std::string_view key, int64_t fallback) const {
    const GgufValue* value = Find(key);
    return value ? Size(*value) : fallback;
  }
  double NumberOr(std::string_view key, double fallback) const {
    const GgufValue* value = Find(key);
    return value ? value->Decimal() : fallback;
  }

  const GgufContents& gguf;
  const std::string name;
};

}  // namespace ecld
