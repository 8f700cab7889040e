#include "runtime/speaker.h"

#include <algorithm>

#include "checkpoint/generation_config.h"
#include "checkpoint/tokenizer/text_stream.h"
#include "core/error.h"
#include "core/log.h"

namespace ecld {

Speaker::Speaker(const SpeakerOptions& options, std::unique_ptr<StepMachine> machine)
    : directory_(options.model),
      model_(Checkpoint::Open(options.model), machine ? RuntimeOptions{} : options.runtime),
      tokenizer_(Tokenizer::Open(options.model)),
      pool_(options.runtime.threads),
      end_ids_(EndIds(options.model, model_.config(), tokenizer_->eos())) {
  if (!options.plain)
    template_ = ChatTemplate::Open(options.model, tokenizer_->special_tokens(), options.chat_template);
  if (const auto problem = template_ ? template_->problem() : std::nullopt)
    throw Error("", *problem + "; --plain continues a text without one");
  if (machine) {
    runner_ = std::make_unique<GpuDecoder>(model_, std::move(machine), options.gpu, pool_);
  } else {
    session_.emplace(model_, pool_, options.kernel);
    cache_.emplace(model_);
    runner_ = std::make_unique<SessionRunner>(*session_, *cache_);
  }
}

Speaker::Said Speaker::Answer(const Json& messages, int64_t max_tokens,
                              const std::function<void(const std::string&)>& say) {
  const std::string prompt =
      template_ ? template_->Apply(messages, true) : messages.back().at("content").get<std::string>();
  const std::vector<int32_t> ids = tokenizer_->Encode(prompt, !template_);
  const size_t known = Recall(ids);
  Said said{.text = {}, .generation = {}, .prompt_tok = std::ssize(ids)};
  const auto add = [&](const std::string& part) {
    said.text += part;
    say(part);
  };
  TextStream decoder(*tokenizer_, template_ ? TextStream::Start::kText : TextStream::Start::kContinuation);
  said.generation =
      Generate(*runner_, std::span(ids).subspan(known), Options(ids.size(), max_tokens), [&](int32_t token) {
        add(decoder.Add(token));
        return true;
      });
  add(decoder.Finish());
  const Generation& generation = said.generation;
  held_ = ids;
  held_.insert(held_.end(), generation.tokens.begin(), generation.tokens.end());
  held_.resize(static_cast<size_t>(runner_->length()));  // the last token chosen was not run
  LogInfo("{} prompt tokens ({} of them run) in {:.0f} ms, {} tokens in {:.0f} ms", ids.size(), ids.size() - known,
          generation.prefill_ms, generation.tokens.size(), generation.decode_ms);
  return said;
}

// Keeps of the cache what the prompt begins with, and returns how many tokens that is. The last one is run again: its
// logits are needed. Where its length asks for another rotation than a short text has, all of it is.
size_t Speaker::Recall(const std::vector<int32_t>& ids) {
  const auto [differs, unused] = std::ranges::mismatch(ids, held_);
  size_t known = std::min(static_cast<size_t>(differs - ids.begin()), ids.empty() ? 0 : ids.size() - 1);
  const ModelConfig& config = model_.config();
  if (RopeLength(config, std::max(std::ssize(ids), std::ssize(held_))) != RopeLength(config, 1)) known = 0;
  held_.resize(known);
  runner_->Truncate(static_cast<int64_t>(known));
  return known;
}

GenerateOptions Speaker::Options(size_t prompt_tok, int64_t max_tokens) const {
  GenerateOptions options;
  options.sampler = sampler_;
  options.stop_ids = end_ids_;
  options.held = held_;
  const int64_t positions = runner_->MostTokens(), room = positions - static_cast<int64_t>(prompt_tok);
  const bool less = positions < LongestText(model_.config());
  if (room < 1)
    Fail(directory_, "the prompt has {} tokens, the model has {} positions{}", prompt_tok, positions,
         less ? " that there is room for; --context N makes more" : "");
  options.max_tokens = std::min(max_tokens, room);
  if (options.max_tokens < max_tokens)
    LogWarning("the model has room for only {} more tokens{}", room, less ? "; --context N makes more" : "");
  return options;
}

Json ToJson(const Speaker::Said& said) {
  constexpr const char* kEnds[] = {"stop", "max_tokens", "caller"};
  return NewDocument(kGenerationDocument, {{"text", said.text},
                                           {"tokens", said.generation.tokens},
                                           {"end", kEnds[static_cast<int>(said.generation.end)]},
                                           {"prompt_tok", said.prompt_tok},
                                           {"prefill_ms", said.generation.prefill_ms},
                                           {"decode_ms", said.generation.decode_ms}});
}

}  // namespace ecld
