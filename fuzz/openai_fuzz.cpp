// Bytes -> a request of OpenAI's API (the first byte chooses which, and whether unknown fields pass). What is accepted
// is within the documented limits; what is refused is refused with a message that is valid JSON.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "runtime/sampler.h"
#include "serve/openai_request.h"

namespace {

bool Sound(const ecld::ApiRequest& request) {
  bool sound = request.n >= 1 && request.n <= 128 && request.top_logprobs.value_or(0) <= 20;
  size_t stop_B = 0;
  for (const std::string& stop : request.stop) {
    sound = sound && !stop.empty();
    stop_B += stop.size();
  }
  sound = sound && stop_B <= 65536;
  for (int64_t id : request.stop_ids) sound = sound && id >= 0;
  // What the sampler refuses was to be refused before.
  ecld::SamplerOptions sampler{.logit_bias = request.logit_bias};
  sampler.Set(request.sampling);
  static_cast<void>(ecld::Sampler(sampler));
  sound = sound && sampler.temperature <= 2;
  if (request.chat) {
    for (const ecld::Json& message : request.messages)
      sound = sound && message.at("role").is_string() && message.at("content").is_string();
    sound = sound && !(request.add_generation_prompt && request.continue_final_message);
    return sound && !request.messages.empty() && request.max_tokens.value_or(1) >= 1;
  }
  return sound && !request.prompts.empty() && (*request.max_tokens >= 1 || request.echo);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    const bool ignore_unknown = data[0] / 2 % 2;
    const ecld::ApiRequest request =
        data[0] % 2 ? ecld::ReadChatRequest(body, ignore_unknown) : ecld::ReadCompletionRequest(body, ignore_unknown);
    if (!Sound(request) || (!ignore_unknown && !request.ignored.empty())) std::abort();
  } catch (const ecld::ApiError& error) {
    const std::string text =
        ecld::ErrorJson(error.what(), error.detail()).dump(-1, ' ', false, ecld::Json::error_handler_t::replace);
    if (!ecld::Json::accept(text)) std::abort();
  }
  return 0;
}
