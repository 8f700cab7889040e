// Bytes -> a request of OpenAI's API (the first byte chooses which). What is accepted is within the documented limits;
// what is refused is refused with a message that is valid JSON.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "serve/openai_request.h"

namespace {

bool Sound(const ecld::ApiRequest& request) {
  bool sound = request.temperature >= 0 && request.temperature <= 2 && request.top_p > 0 && request.top_p <= 1 &&
               request.n >= 1 && request.n <= 128 && request.stop.size() <= 4 && request.top_logprobs.value_or(0) <= 20;
  for (const std::string& stop : request.stop) sound = sound && !stop.empty() && stop.size() <= 256;
  if (request.chat) return sound && !request.messages.empty() && request.max_tokens.value_or(1) >= 1;
  return sound && !request.prompts.empty() && (*request.max_tokens >= 1 || request.echo);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    if (!Sound(data[0] % 2 ? ecld::ReadChatRequest(body) : ecld::ReadCompletionRequest(body))) std::abort();
  } catch (const ecld::ApiError& error) {
    const std::string text =
        ecld::ErrorJson(error.what(), error.detail()).dump(-1, ' ', false, ecld::Json::error_handler_t::replace);
    if (!ecld::Json::accept(text)) std::abort();
  }
  return 0;
}
