#pragma once
// generation_config.json of a checkpoint directory: the ids at which a text ends, and how its author would have tokens
// drawn. Which of several files is right about the ends of a text is decided here and nowhere else.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/config.h"

namespace ecld {

// Beyond these a logit is no longer a useful number.
inline constexpr double kLeastRepetitionPenalty = 0.01, kMostRepetitionPenalty = 100;

// What a file, a request or a command line says about drawing tokens (their meaning: runtime/sampler.h); what is absent
// is left to whoever is asked next.
struct SamplingValues {
  std::optional<double> temperature;
  std::optional<int64_t> top_k;
  std::optional<double> top_p, min_p;
  std::optional<double> repetition_penalty, frequency_penalty, presence_penalty;

  // These, and others' where these are absent.
  SamplingValues Or(const SamplingValues& others) const;
  std::string Text() const;  // "temperature 0.6, top_p 0.9"; "" where all are absent
};

// Everything that ends a text: the ids of config.json, the tokenizer's end of text, and those of
// generation_config.json, each once, in this order. Where the files disagree, it is logged. THROWS Error: a file is
// malformed.
std::vector<int64_t> EndIds(const std::filesystem::path& directory, const ModelConfig& config,
                            std::optional<int64_t> tokenizer_eos);

// What generation_config.json says about drawing; nothing where there is no such file. do_sample: false is a
// temperature of 0; do_sample: true without a temperature is one of 1. Lengths are not read: they are the program's.
// THROWS Error naming the key: a value out of range, or one that asks for what no program here does (beams, typical_p).
SamplingValues ReadSamplingDefaults(const std::filesystem::path& directory);

// The ids under a key, which holds one or a list of them; those outside the vocabulary (some files carry -1 for "none")
// can never be chosen, so they are left out.
std::vector<int64_t> ReadTokenIds(const JsonView& json, const char* key, int64_t vocab_size);

}  // namespace ecld
