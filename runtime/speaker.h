#pragma once
// A checkpoint that talks: text in, text out. Remembers what it has run, so the next prompt costs what is new in it.
// One text at a time; many at once are serve's.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/tokenizer/chat_template.h"
#include "checkpoint/tokenizer/tokenizer.h"
#include "core/document.h"
#include "core/json.h"
#include "runtime/generate.h"
#include "runtime/gpu_decoder.h"

namespace ecld {

struct SpeakerOptions {
  std::string model;          // checkpoint directory
  bool plain = false;         // continue texts; else chat, where there is a template
  std::string chat_template;  // a file in place of the checkpoint's own; empty: that
  std::string kernel;         // force this matrix product implementation; empty: none
  RuntimeOptions runtime;     // on the processor; the threads are those that run it too
  GpuOptions gpu;
};

class Speaker {
 public:
  // machine: a GPU; null: the processor. THROWS Error: whatever opening the checkpoint, its tokenizer and its template
  // throws; a template that cannot be read.
  Speaker(const SpeakerOptions& options, std::unique_ptr<StepMachine> machine);

  bool chats() const { return template_.has_value(); }
  void set_sampler(const SamplerOptions& sampler) { sampler_ = sampler; }  // greedy until then

  struct Said {
    std::string text;
    Generation generation;
    int64_t prompt_tok = 0;
  };
  // Answers a conversation ([{"role", "content"}, ...]), or continues the content of its last message, by max_tokens at
  // most. say: called with each part of the text as it comes. THROWS Error: the prompt does not fit the model.
  Said Answer(const Json& messages, int64_t max_tokens, const std::function<void(const std::string&)>& say);

 private:
  size_t Recall(const std::vector<int32_t>& ids);
  GenerateOptions Options(size_t prompt_tok, int64_t max_tokens) const;

  std::string directory_;
  RuntimeModel model_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<ChatTemplate> template_;
  ThreadPool pool_;
  std::optional<Session> session_;
  std::optional<KvCache> cache_;
  SamplerOptions sampler_;
  std::vector<int64_t> end_ids_;
  std::unique_ptr<TokenRunner> runner_;
  std::vector<int32_t> held_;  // the ids in it
};

inline constexpr DocumentKind kGenerationDocument{"ecld.generation", "1.0.0"};
Json ToJson(const Speaker::Said& said);

}  // namespace ecld
