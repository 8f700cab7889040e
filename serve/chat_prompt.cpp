#include "serve/chat_prompt.h"

#include <fmt/format.h>

#include "core/ascii.h"
#include "core/error.h"

namespace ecld {
namespace {

// Put behind the last message, to see where the template puts its end. Without the space, where a template cuts white
// space off.
constexpr std::string_view kEnd = "CONTINUE_FINAL_MESSAGE_TAG ";

std::string_view Trimmed(std::string_view text) {
  text = SkipBlank(text);
  return text.substr(0, text.find_last_not_of(kAsciiBlank) + 1);
}

std::string Render(const ChatTemplate& chat_template, const ApiRequest& request, const Json& values) {
  Json messages = request.messages;
  const auto text = messages.back()["content"].get<std::string>();
  if (request.continue_final_message) messages.back()["content"] = text + std::string(kEnd);
  std::string prompt;
  try {
    prompt = chat_template.Apply(messages, request.add_generation_prompt, values);
  } catch (const Error& error) {
    throw ApiError(fmt::format("messages: the chat template of this model refuses them: {}", error.what()),
                   {.param = "messages"});
  }
  if (!request.continue_final_message) return prompt;
  const size_t end = prompt.rfind(Trimmed(kEnd));
  if (end == std::string::npos || prompt.find(Trimmed(text)) == std::string::npos)
    throw ApiError("continue_final_message: the chat template of this model changes the last message",
                   {.param = "continue_final_message"});
  const bool keeps_space = std::string_view(prompt).substr(end).starts_with(kEnd);
  prompt.resize(end);
  if (!keeps_space) prompt.resize(prompt.find_last_not_of(kAsciiBlank) + 1);
  return prompt;
}

}  // namespace

std::string ChatPrompt(const ChatTemplate& chat_template, const ApiRequest& request) {
  return Render(chat_template, request, request.template_values);
}

bool TemplateIgnores(const ChatTemplate& chat_template, const ApiRequest& request, const char* value,
                     const std::string& prompt) {
  if (!request.template_values.contains(value) || request.template_values[value].is_null()) return false;
  Json without = request.template_values;
  without[value] = nullptr;
  return Render(chat_template, request, without) == prompt;
}

}  // namespace ecld
