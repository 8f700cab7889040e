#include "eval/tasks/encoder.h"

#include <algorithm>

#include "core/error.h"
#include "jinja/text.h"

namespace ecld {

PromptEncoder::PromptEncoder(const Tokenizer& tokenizer, int64_t max_tokens)
    : tokenizer_(tokenizer), max_tokens_(max_tokens) {
  const auto prefix = tokenizer.bos() ? tokenizer.bos() : tokenizer.eos();
  if (!prefix) Fail("tokenizer", "names neither a token that begins a text nor one that ends it");
  prefix_ = *prefix;
  prefix_text_ = tokenizer.Decode({{prefix_}}, false);
}

std::vector<int32_t> PromptEncoder::Encode(std::string_view text) const {
  return tokenizer_.Encode(text, !text.starts_with(prefix_text_));
}

EncodedText PromptEncoder::Pair(std::string_view context, std::string_view continuation) const {
  std::vector<int32_t> whole;
  size_t split = 1;
  if (context.empty()) {
    whole = tokenizer_.Encode(continuation, false);
    if (whole.empty() || whole[0] != prefix_) whole.insert(whole.begin(), prefix_);
  } else {
    const std::string both = std::string(context) + std::string(continuation);
    whole = Encode(both);
    split = Encode(jinja::Strip(context, nullptr, false, true)).size();
  }
  if (whole.size() <= split || split == 0)
    Fail("", "the continuation \"{}\" has no token of its own after its context", continuation);
  EncodedText text{.tokens = std::move(whole), .first_scored = static_cast<int64_t>(split)};
  const auto size = static_cast<int64_t>(text.tokens.size());
  if (size - text.first_scored > max_tokens_)
    Fail("", "the continuation has {} tokens, more than the {} positions of the model", size - text.first_scored,
         max_tokens_);
  if (const int64_t excess = size - (max_tokens_ + 1); excess > 0) {
    text.tokens.erase(text.tokens.begin(), text.tokens.begin() + excess);
    text.first_scored -= excess;
    text.truncated = true;
  }
  return text;
}

std::vector<EncodedText> PromptEncoder::Rolling(std::string_view text) const {
  std::vector<int32_t> ids = Encode(text);
  if (ids.empty()) Fail("", "the text has no token");
  ids.insert(ids.begin(), prefix_);
  const auto size = static_cast<int64_t>(ids.size());
  std::vector<EncodedText> windows;
  for (int64_t done = 1; done < size;) {
    const int64_t end = std::min(size, done + max_tokens_);
    const int64_t begin = std::max<int64_t>(0, end - max_tokens_ - 1);
    windows.push_back({.tokens = {ids.begin() + begin, ids.begin() + end}, .first_scored = done - begin});
    done = end;
  }
  return windows;
}

EncodedText PromptEncoder::Prompt(std::string_view text, int64_t new_tokens) const {
  const int64_t room = max_tokens_ - new_tokens;
  if (room < 1)
    Fail("", "an answer of {} tokens leaves no room in the {} positions of the model", new_tokens, max_tokens_);
  EncodedText prompt{.tokens = Encode(text)};
  if (prompt.tokens.empty()) Fail("", "the prompt has no token");
  if (const int64_t excess = static_cast<int64_t>(prompt.tokens.size()) - room; excess > 0) {
    prompt.tokens.erase(prompt.tokens.begin(), prompt.tokens.begin() + excess);
    prompt.truncated = true;
  }
  prompt.first_scored = static_cast<int64_t>(prompt.tokens.size());
  return prompt;
}

}  // namespace ecld
