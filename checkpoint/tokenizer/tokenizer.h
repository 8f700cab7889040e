#pragma once
// Text to token ids and back, exactly as the model was trained with. Two kinds behind one interface: tokenizer.json
// (byte-level BPE and sentencepiece-style BPE with byte fallback) and sentencepiece tokenizer.model. Thread-safe.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace ecld {

class Tokenizer {
 public:
  // Opens the tokenizer of a checkpoint directory: tokenizer.json, else tokenizer.model. THROWS Error.
  static std::unique_ptr<Tokenizer> Open(const std::filesystem::path& directory);

  virtual ~Tokenizer() = default;

  // Any bytes, also broken UTF-8. Special tokens written out in the text ("<|im_start|>") become their ids.
  // add_special: also what the tokenizer adds by itself around a text (a begin-of-text token).
  virtual std::vector<int32_t> Encode(std::string_view text, bool add_special) const = 0;

  // The bytes of the ids, concatenated; skip_special leaves out special tokens. THROWS Error on an id outside the
  // vocabulary.
  virtual std::string Decode(std::span<const int32_t> ids, bool skip_special) const = 0;

  // What id adds to a text that goes on; nothing for an id outside the vocabulary (models pad theirs) and, where
  // skip_special, for a special token. May be part of a character: see text_stream.h.
  virtual std::string_view Bytes(int32_t id, bool skip_special) const = 0;

  virtual int64_t vocab_size() const = 0;  // largest id + 1
  virtual std::optional<int32_t> IdOf(std::string_view token) const = 0;
  // Ids at which generation may stop that the tokenizer itself names (eos_token); the config may name more.
  virtual std::optional<int32_t> bos() const = 0;
  virtual std::optional<int32_t> eos() const = 0;
  // Texts of the tokens with a role, {"bos_token": "<s>", ...}: what chat templates are given.
  virtual const Json& special_tokens() const = 0;
};

}  // namespace ecld
