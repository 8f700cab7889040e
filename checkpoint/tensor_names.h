#pragma once
// The rule for the tensors of a checkpoint that its table does not ask for: every one is known by name to be unneeded
// (buffers of rotary embedding, a vision tower), or it is refused by name, since something of the model would be lost:
// scales, adapters, biases that no config announces. And the names under which other programs save the same tensors.

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/config.h"
#include "checkpoint/safetensors.h"

namespace ecld {

using UsedNames = std::set<std::string, std::less<>>;

// What the modules of a checkpoint are called in lists of modules ("ignore", "targets") that other programs write.
class ModuleNames {
 public:
  // The prefixes of the decoder's modules and of the head's name.
  struct Prefixes {
    std::string_view decoder = "model.", head = "";
    bool operator==(const Prefixes&) const = default;
  };

  ModuleNames() = default;  // as in the table
  explicit ModuleNames(Prefixes file);

  // Every name that a module of the table has: the file's first, then what transformers calls it once it is loaded.
  std::vector<std::string> Of(std::string_view module) const;
  bool Standard() const { return forms_ == std::vector{Prefixes{}}; }

 private:
  std::vector<Prefixes> forms_{Prefixes{}};
};

// Gives the tensors of a base model ("layers.0...", as AutoModel saves them) or of a wrapped one
// ("language_model.model.layers.0...") the names of the table, and says in *names what they were called. What it did,
// for people; nullopt: nothing. THROWS Error: two tensors that would have one name.
std::optional<std::string> UseStandardNames(TensorViews* tensors, ModuleNames* names);

// Whether a tensor of this name is a buffer that every program computes itself.
bool IsBuffer(std::string_view name);

// Removes the tensors that are not used. Returns what is to be told of them.
// THROWS Error naming the first one without which the model may be another.
std::vector<std::string> DropUnused(const std::string& where, const ModelConfig& config, const UsedNames& used,
                                    TensorViews* tensors);

// What an unused tensor that is there says about one that is missing: "; \"...qweight\" looks like ...", or "".
std::string HintOfUnused(const UsedNames& used, const TensorViews& tensors);

}  // namespace ecld
