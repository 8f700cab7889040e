#pragma once
// The requests of OpenAI's API that are served, read strictly: POST /v1/completions and /v1/chat/completions
// (https://platform.openai.com/docs/api-reference), with what vLLM and llama-server add to them (top_k, min_p,
// repetition_penalty, stop_token_ids, chat_template_kwargs, ...). A value of the wrong type or out of range is refused
// with the parameter's name, and so is a parameter that would change the answer and is not supported; those that change
// nothing (like user) are accepted. Needs no model: what depends on one is checked by the server.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "checkpoint/generation_config.h"
#include "core/error.h"
#include "core/json.h"

namespace ecld {

// An Error with what OpenAI's error object says beside the message.
class ApiError : public Error {
 public:
  struct Detail {
    int status = 400;
    std::string type = "invalid_request_error";
    std::optional<std::string> param, code;
    int64_t retry_after_s = 0;  // > 0: the header of that name
    std::string allow;          // not empty: the header of that name
  };
  ApiError(const std::string& message, Detail detail) : Error("", message), detail_(std::move(detail)) {}
  const Detail& detail() const { return detail_; }

 private:
  Detail detail_;
};

// {"error": {"message", "type", "param", "code"}}
Json ErrorJson(const std::string& message, const ApiError::Detail& detail);

using ApiPrompt = std::variant<std::string, std::vector<int32_t>>;

struct ApiRequest {
  bool chat = false;
  std::string model;
  std::vector<ApiPrompt> prompts;         // of a completion, at least one
  Json messages;                          // of a chat, at least one, as templates have them: openai_messages.h
  Json template_values = Json::object();  // of a chat: what its template has beside them (tools, documents, ...)
  bool add_generation_prompt = true, continue_final_message = false;  // of a chat
  std::optional<bool> add_special_tokens;  // whether the tokenizer adds its own; none: to a completion's prompt only
  std::optional<int64_t> max_tokens;
  SamplingValues sampling;
  std::vector<std::pair<int32_t, float>> logit_bias;
  int64_t n = 1;
  std::optional<uint64_t> seed;
  std::vector<std::string> stop;
  std::vector<int64_t> stop_ids;  // which end the answer beside the model's own
  bool ignore_eos = false;        // the model's own do not
  bool stream = false, include_usage = false, echo = false;
  std::optional<int64_t> top_logprobs;  // none: no log-probabilities at all
  std::vector<std::string> ignored;     // fields that this server does not know and let pass
};

// body: JSON text. ignore_unknown: fields that this server does not know are no error. THROWS ApiError.
ApiRequest ReadCompletionRequest(std::string_view body, bool ignore_unknown = false);
ApiRequest ReadChatRequest(std::string_view body, bool ignore_unknown = false);

}  // namespace ecld
