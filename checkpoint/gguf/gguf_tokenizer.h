#pragma once
// The tokenizer files of a Hugging Face checkpoint, rebuilt from a GGUF vocabulary. Everything goes into
// tokenizer.json, which all readers of checkpoints know: byte-level BPE with the pre-tokenizer that tokenizer.ggml.pre
// names, or BPE over sentencepiece's pieces with byte fallback. Texts get the same ids as in llama.cpp.

#include <array>
#include <filesystem>
#include <string_view>

#include "checkpoint/gguf/gguf_vocabulary.h"
#include "core/json.h"

namespace ecld {

// The content of tokenizer.json. THROWS Error on a pre-tokenizer that is not known.
// where: of the GGUF file, for errors.
Json TokenizerJson(const GgufVocabulary& vocabulary, const std::string& where);

// How its authors sample from a model: keys of GGUF, and of generation_config.json.
struct SamplingKey {
  std::string_view gguf;
  const char* config;
};
inline constexpr std::array kSamplingKeys = {
    SamplingKey{"general.sampling.temp", "temperature"},
    SamplingKey{"general.sampling.top_k", "top_k"},
    SamplingKey{"general.sampling.top_p", "top_p"},
    SamplingKey{"general.sampling.min_p", "min_p"},
    SamplingKey{"general.sampling.penalty_repeat", "repetition_penalty"},
};

// Writes tokenizer.json, tokenizer_config.json (special tokens, chat template) and generation_config.json (the ids at
// which generation stops, how to sample) into directory.
void WriteTokenizerFiles(const GgufContents& gguf, const std::filesystem::path& directory);

// The normalizer, pre-tokenizer and merge rule of a byte-level BPE that tokenizer.ggml.pre names.
struct PreTokenizerSteps {
  Json normalizer;
  Json pre_tokenizer;
  bool ignore_merges;  // a word that is a token is that token, whatever the merges say
  bool add_bos;        // where the file does not say otherwise
};
// THROWS Error naming the known ones.
PreTokenizerSteps FindPreTokenizer(const std::string& name, const std::string& where);

// The inverse: the name for the normalizer and pre-tokenizer of a byte-level tokenizer.json. THROWS Error naming the
// known ones.
std::string PreTokenizerName(const Json& tokenizer, const std::string& where);

}  // namespace ecld
