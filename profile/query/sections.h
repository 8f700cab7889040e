#pragma once
// What a manifest says of the model and of the device, as structs: what a reader of profiles asks for. Units are in the
// names; absent is not known. Keys that are not here stay in the sections of DeviceProfile.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "profile/format/profile.h"

namespace ecld {

struct Variant {
  struct Architecture {
    int64_t layers = 0, hidden = 0, vocab = 0;
    std::vector<int64_t> heads, kv_heads, intermediate;  // [layers]
    bool tied = false;                                   // the head is the embedding
  };
  struct Storage {
    double bits = 0, embed_bits = 0, head_bits = 0, kv_bits = 0;  // bits: mean over the weights of the blocks
    std::optional<int64_t> group;                                 // absent: dense, or not the same everywhere
    std::optional<bool> symmetric, zero_point;
  };

  std::string id, weights_sha256;
  std::optional<std::string> base_model, recipe_sha256, parent_variant;
  Architecture arch;
  Storage quant;
  int64_t params = 0;
  int64_t file_B = 0;                // tensors as stored
  std::optional<int64_t> storage_B;  // all files that running needs
};

struct Device {
  std::string id, name, kind, role;  // kind: "cpu", "gpu", ...; role: "ue", "edge"
  std::optional<std::string> vendor, compute_capability, driver, runtime;
  int64_t mem_capacity_B = 0;
  std::optional<double> mem_Bps, fp16_flops, tdp_W, idle_W, power_cap_W;
  std::optional<int64_t> threads;  // that ran the model
};

// THROWS Error naming the key, where a profile was not read by ReadProfile and lacks one.
Variant VariantOf(const DeviceProfile& profile);
Device DeviceOf(const DeviceProfile& profile);

}  // namespace ecld
