#pragma once
// The requests of OpenAI's API that are served, read strictly: POST /v1/completions and /v1/chat/completions
// (https://platform.openai.com/docs/api-reference). A value of the wrong type or out of range is refused with the
// parameter's name, and so is a parameter that would change the answer and is not supported; those that change nothing
// (like user) are accepted. Needs no model: what depends on one is checked by the server.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

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
  std::vector<ApiPrompt> prompts;  // of a completion, at least one
  Json messages;                   // of a chat, at least one: {"role", "content": text, "name"?}
  std::optional<int64_t> max_tokens;
  double temperature = 1, top_p = 1;
  int64_t n = 1;
  std::optional<uint64_t> seed;
  std::vector<std::string> stop;
  bool stream = false, include_usage = false, echo = false;
  std::optional<int64_t> top_logprobs;  // none: no log-probabilities at all
};

// body: JSON text. THROWS ApiError.
ApiRequest ReadCompletionRequest(std::string_view body);
ApiRequest ReadChatRequest(std::string_view body);

}  // namespace ecld
