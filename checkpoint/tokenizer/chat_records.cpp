#include "checkpoint/tokenizer/chat_records.h"

#include "core/error.h"

namespace ecld {
namespace {

struct Speaker {
  std::string_view from, role;
};

constexpr Speaker kSpeakers[] = {{"human", "user"},        {"user", "user"},       {"gpt", "assistant"},
                                 {"chatgpt", "assistant"}, {"model", "assistant"}, {"assistant", "assistant"},
                                 {"system", "system"}};

std::string_view RoleOf(const std::string& from, const std::string& where) {
  for (const Speaker& speaker : kSpeakers)
    if (speaker.from == from) return speaker.role;
  Fail(where, "\"{}\" is no speaker that is known; human, gpt, system, function_call and observation are", from);
}

// One text of the parts [{"type": "text", "text": ...}].
std::string JoinParts(const JsonView& parts) {
  std::string text;
  for (size_t i = 0; i < parts.Size(); ++i) {
    const JsonView part = parts.At(i);
    if (const std::string type = part.At("type").String(); type != "text")
      Fail(part.Where(), "is of type {}, which a text model cannot be given; expected text", type);
    text += part.At("text").String();
  }
  return text;
}

// What LLaMA-Factory writes of a call, the text of {"name", "arguments"} or of a list of them, as a template takes it.
Json ReadCalls(const JsonView& value) {
  Json calls = ParseJson(value.String(), value.Where());
  if (!calls.is_array()) calls = Json::array({std::move(calls)});
  const JsonView view(calls, value.Where());
  Json read = Json::array();
  for (size_t i = 0; i < view.Size(); ++i) {
    const JsonView arguments = view.At(i).At("arguments");
    Json given = arguments.json().is_string() ? ParseJson(arguments.String(), arguments.Where()) : arguments.json();
    if (!given.is_object()) Fail(arguments.Where(), "found {}, expected an object", given.type_name());
    read.push_back({{"type", "function"},
                    {"function", {{"name", view.At(i).At("name").String()}, {"arguments", std::move(given)}}}});
  }
  return read;
}

// A message of ShareGPT's, with the two speakers that LLaMA-Factory adds.
Json ReadTurn(const JsonView& turn) {
  const std::string from = turn.At("from").String();
  if (from == "function_call")
    return {{"role", "assistant"}, {"content", ""}, {"tool_calls", ReadCalls(turn.At("value"))}};
  const std::string_view role = from == "observation" ? "tool" : RoleOf(from, turn.At("from").Where());
  return {{"role", role}, {"content", turn.At("value").String()}};
}

// A list, or LLaMA-Factory's text of one, whose tools may be functions without the type around them.
Json ReadTools(const JsonView& tools) {
  if (!tools.json().is_string()) {
    tools.Size();
    return tools.json();
  }
  Json read = ParseJson(tools.String(), tools.Where());
  if (!read.is_array()) Fail(tools.Where(), "is the text of {}, expected an array", read.type_name());
  for (Json& tool : read)
    if (tool.is_object() && !tool.contains("function")) tool = {{"type", "function"}, {"function", Json(tool)}};
  return read;
}

Json ReadMessage(const JsonView& message) {
  if (!message.json().is_object()) Fail(message.Where(), "found {}, expected a message", message.json().type_name());
  if (!message.Has("role") && message.Has("from")) return ReadTurn(message);
  Json read = message.json();
  message.At("role").String();
  if (message.Has("content")) {
    const JsonView content = message.At("content");
    read["content"] = content.json().is_array() ? JoinParts(content) : content.String();
  } else if (!message.Has("tool_calls")) {
    Fail(message.Where(), "has no content");
  }
  return read;
}

}  // namespace

Chat ReadChat(const Json& record, const std::string& field, const std::string& where) {
  const JsonView view(record, where);
  const JsonView messages = view.At(field);
  Chat chat;
  for (size_t i = 0; i < messages.Size(); ++i) chat.messages.push_back(ReadMessage(messages.At(i)));
  if (const std::string system = view.StringOr("system", ""); !system.empty()) {
    if (!chat.messages.empty() && chat.messages[0]["role"] == "system")
      Fail(where, "has a system prompt beside the messages and one in them; keep one");
    const Json first = {{"role", "system"}, {"content", system}};
    chat.messages.insert(chat.messages.begin(), first);
  }
  if (view.Has("chat_template_kwargs")) {
    view.At("chat_template_kwargs").Keys();
    chat.variables = view.At("chat_template_kwargs").json();
  }
  if (view.Has("functions"))
    Fail(view.At("functions").Where(), "an older form of tools is not supported; expected \"tools\"");
  if (view.Has("documents")) chat.variables["documents"] = view.At("documents").json();
  if (view.Has("tools") && !view.At("tools").json().empty() && view.At("tools").json() != "")
    if (Json tools = ReadTools(view.At("tools")); !tools.empty()) chat.variables["tools"] = std::move(tools);
  return chat;
}

}  // namespace ecld
