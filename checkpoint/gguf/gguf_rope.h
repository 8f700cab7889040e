#pragma once
// Rotary position embedding in GGUF, both ways, as llama.cpp names and computes it: keys "<architecture>.rope.*", and
// tensors that divide the frequency of each pair of a head: rope_freqs (with which rope type llama3 is written), and
// rope_factors_short and rope_factors_long (longrope). What one side says and the other cannot is an Error.

#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/config.h"
#include "checkpoint/gguf/gguf_architecture.h"
#include "checkpoint/gguf/gguf_writer.h"

namespace ecld {

// Sets rope_theta and rope_scaling. REQUIRES: json has max_position_embeddings. THROWS Error naming file and key.
void AddGgufRope(const GgufArchitecture& architecture, int64_t head_dim, Json* json);
// Whether a tensor is read by it.
bool IsGgufRopeTensor(std::string_view name);

// prefix: "llama.". where: of the config, for errors. notes: what llama.cpp will do in another way.
void PutGgufRope(const ModelConfig& config, const std::string& where, const std::string& prefix, GgufWriter* out,
                 std::vector<std::string>* notes);
struct GgufRopeTensor {
  std::string name;
  std::vector<float> values;  // [head_dim / 2]
};
std::vector<GgufRopeTensor> GgufRopeTensors(const ModelConfig& config);

}  // namespace ecld
