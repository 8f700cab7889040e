// "transform_config" of compressed-tensors: matrices applied to weights before they were stored, and those which a
// runtime has to apply to activations so that the model stays the same. A transform of a weight is done already. A
// Hadamard matrix at a module's input can be folded into its weight: y = (x H) W^T = x (W H^T)^T.

#include <algorithm>

#include "checkpoint/foreign/foreign_config.h"
#include "core/error.h"

namespace ecld {
namespace {

bool IsPowerOfTwo(int64_t value) { return value > 0 && (value & (value - 1)) == 0; }

std::vector<std::string> NamesOf(const JsonView& json, const char* key) {
  if (!json.Has(key)) return {};
  const JsonView names = json.At(key);
  return names.json().is_string() ? std::vector<std::string>{names.String()} : ReadModuleNames(names);
}

// What one group asks of a runtime.
void ReadScheme(const std::string& name, const JsonView& json, std::vector<InputTransform>* transforms) {
  RequireKeys(json, {"type", "apply", "randomize", "requires_grad", "head_dim", "block_size", "precision"});
  if (!json.Has("apply")) return;
  const JsonView apply = json.At("apply");
  for (size_t i = 0; i < apply.Size(); ++i) {
    const JsonView part = apply.At(i);
    RequireKeys(part, {"targets", "location", "inverse", "ignore"});
    const std::string location = part.At("location").String();
    if (location == "weight_input" || location == "weight_output") continue;
    if (location != "input")
      Fail(part.At("location").Where(),
           "a transform at \"{}\" is not supported; expected one at \"input\" (or of "
           "weights, done before they were stored)",
           location);
    const std::string type = json.At("type").String();
    if (type != "hadamard")
      Fail(json.At("type").Where(), "\"{}\" is not supported at an input; expected \"hadamard\"", type);
    if (json.BoolOr("randomize", false)) Fail(json.At("randomize").Where(), "is not supported; expected false");
    const char* size = json.Has("block_size") ? "block_size" : "head_dim";
    const int64_t block = json.IntOr(size, 0);
    if (json.Has("block_size") && json.IntOr("head_dim", block) != block)
      Fail(json.At("head_dim").Where(), "is {}, and block_size {}, and the two are one size; keep one",
           json.IntOr("head_dim", 0), block);
    if (json.Has(size) && !IsPowerOfTwo(block))
      Fail(json.At(size).Where(), "{} is not a power of two, as the size of this matrix is", block);
    // These matrices are symmetric, so that the inverse is the same.
    part.BoolOr("inverse", false);
    transforms->push_back({name, NamesOf(part, "targets"), NamesOf(part, "ignore"), block});
  }
}

}  // namespace

std::vector<InputTransform> ParseTransforms(const JsonView& json) {
  RequireKeys(json, {"config_groups"});
  std::vector<InputTransform> transforms;
  if (!json.Has("config_groups")) return transforms;
  const JsonView groups = json.At("config_groups");
  for (const std::string& name : groups.Keys()) ReadScheme(name, groups.At(name), &transforms);
  return transforms;
}

}  // namespace ecld
