#pragma once
// The flags that say how tokens are drawn, and --generation-config, which says whether the checkpoint's own
// generation_config.json is asked for what they leave open.

#include <filesystem>
#include <string>
#include <vector>

#include "runtime/sampler.h"

namespace CLI {
class App;
}

namespace ecld {

struct GenerationConfigFlag {
  bool ask_file = true;
  // What the file of this directory says, which is logged; nothing where the file is not asked. THROWS Error.
  SamplingValues Read(const std::filesystem::path& directory) const;
};
void AddGenerationConfigFlag(CLI::App& verb, GenerationConfigFlag* flag);

// --temperature, --top-k, --top-p, --min-p, --repetition-penalty, --frequency-penalty, --presence-penalty,
// --logit-bias, --seed, --generation-config.
struct SamplingFlags {
  SamplingValues values;
  std::vector<std::string> logit_bias;  // "ID=BIAS"
  uint64_t seed = 0;
  GenerationConfigFlag file;

  // Flags, then the file, then greedy. THROWS Error.
  SamplerOptions Options(const std::filesystem::path& directory) const;
};
void AddSamplingFlags(CLI::App& verb, SamplingFlags* flags);

}  // namespace ecld
