#include "serve/openai_messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "serve/openai_request.h"

namespace ecld {
namespace {

constexpr std::array kRoles = {"system", "developer", "user", "assistant", "tool"};

[[noreturn]] void Missing(const std::string& param) { throw ApiError(param + " is missing", {.param = param}); }

std::string Required(const std::optional<std::string>& text, const std::string& param) {
  if (!text) Missing(param);
  return *text;
}

// "content" as one text: a string, or parts {"type": "text", "text": ...}; of some roles also none.
std::string ReadContent(RequestFields& message, UnknownFields& unknown, const std::string& path, bool may_be_absent) {
  const std::string param = path + ".content";
  const Json* content = message.Find("content");
  if (!content && may_be_absent) return {};
  if (!content) Missing(param);
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) message.Wrong("content", "a string or a list of text parts");
  std::string text;
  for (size_t i = 0; i < content->size(); ++i) {
    const std::string part_path = fmt::format("{}[{}]", param, i);
    RequestFields part((*content)[i], unknown, part_path);
    if (Required(part.String("type"), part_path + ".type") != "text")
      part.Wrong("type", "\"text\", the only kind of content that this server reads");
    if (i > 0) text += '\n';  // as vLLM and llama-server join them
    text += Required(part.String("text"), part_path + ".text");
    part.Ignore("cache_control");  // where another API may cut its cache
    part.Ignore("annotations");
    part.RefuseRest();
  }
  return text;
}

// The arguments of a call: OpenAI has them as a text of JSON, templates as an object.
Json ReadArguments(RequestFields& function, const std::string& path) {
  const Json* arguments = function.Find("arguments");
  if (!arguments) return Json::object();
  if (arguments->is_object()) return *arguments;
  if (!arguments->is_string()) function.Wrong("arguments", "a JSON object, or the text of one");
  const auto& text = arguments->get_ref<const std::string&>();
  if (text.empty()) return Json::object();
  try {
    Json parsed = ParseJson(text, path + ".arguments");
    if (parsed.is_object()) return parsed;
  } catch (const Error&) {  // said below
  }
  FailField(path + ".arguments", "a JSON object, or the text of one", *arguments);
}

// Null where there are none: templates ask whether a message has the key.
Json ReadToolCalls(RequestFields& message, UnknownFields& unknown, const std::string& path) {
  const Json* calls = message.Find("tool_calls");
  if (!calls) return nullptr;
  if (!calls->is_array()) message.Wrong("tool_calls", "a list of calls");
  Json read = Json::array();
  for (size_t i = 0; i < calls->size(); ++i) {
    const std::string call_path = fmt::format("{}.tool_calls[{}]", path, i), function_path = call_path + ".function";
    RequestFields call((*calls)[i], unknown, call_path);
    if (call.String("type").value_or("function") != "function")
      call.Wrong("type", "\"function\", the only kind of tool that this server knows");
    const Json* function_json = call.Find("function");
    if (!function_json) Missing(function_path);
    RequestFields function(*function_json, unknown, function_path);
    Json entry = {{"type", "function"},
                  {"function",
                   {{"name", Required(function.String("name"), function_path + ".name")},
                    {"arguments", ReadArguments(function, function_path)}}}};
    if (const auto id = call.String("id")) entry["id"] = *id;
    call.Ignore("index");                 // of the pieces of a stream
    function.Ignore("parsed_arguments");  // what a client's library made of the arguments
    function.RefuseRest();
    call.RefuseRest();
    read.push_back(std::move(entry));
  }
  return read.empty() ? Json(nullptr) : read;
}

Json ReadMessage(const Json& json, UnknownFields& unknown, const std::string& path) {
  RequestFields message(json, unknown, path);
  const std::string role = Required(message.String("role"), path + ".role");
  if (std::ranges::find(kRoles, role) == kRoles.end())
    message.Wrong("role", "system, developer, user, assistant or tool");
  const bool assistant = role == "assistant", tool = role == "tool";
  // "developer" is OpenAI's newer name of the same role, which templates do not know.
  Json read = {{"role", role == "developer" ? "system" : role},
               {"content", ReadContent(message, unknown, path, assistant || tool)}};
  if (const auto name = message.String("name")) read["name"] = *name;
  if (assistant) {
    if (Json calls = ReadToolCalls(message, unknown, path); !calls.is_null()) read["tool_calls"] = std::move(calls);
    const auto thoughts = message.String("reasoning_content"), newer_name = message.String("reasoning");
    if (thoughts || newer_name) read["reasoning_content"] = thoughts ? *thoughts : *newer_name;
  } else {
    message.AcceptOnly("tool_calls", {Json::array()});
  }
  if (tool)
    if (const auto id = message.String("tool_call_id")) read["tool_call_id"] = *id;
  message.AcceptOnly("type", {"text", "message"});  // some clients say so of every message
  message.AcceptOnly("refusal", {""});
  message.AcceptOnly("audio", {});
  message.AcceptOnly("function_call", {});
  message.Ignore("annotations");
  message.Ignore("parsed");  // what a client's library made of the content
  message.Ignore("cache_control");
  message.RefuseRest();
  return read;
}

}  // namespace

Json ReadMessages(RequestFields& fields, UnknownFields& unknown) {
  const Json* messages = fields.Find("messages");
  if (!messages) Missing("messages");
  if (!messages->is_array() || messages->empty()) fields.Wrong("messages", "a list of at least one message");
  Json result = Json::array();
  for (size_t i = 0; i < messages->size(); ++i)
    result.push_back(ReadMessage((*messages)[i], unknown, fmt::format("messages[{}]", i)));
  return result;
}

Json ReadTools(RequestFields& fields) {
  const Json* tools = fields.Find("tools");
  if (!tools) return nullptr;
  if (!tools->is_array()) fields.Wrong("tools", "a list of tools");
  for (size_t i = 0; i < tools->size(); ++i) {
    const std::string path = fmt::format("tools[{}]", i);
    UnknownFields any{.accept = true};  // what else there is goes to the template
    RequestFields tool((*tools)[i], any, path);
    if (Required(tool.String("type"), path + ".type") != "function")
      tool.Wrong("type", "\"function\", the only kind of tool that this server knows");
    const Json* function = tool.Find("function");
    if (!function) Missing(path + ".function");
    Required(RequestFields(*function, any, path + ".function").String("name"), path + ".function.name");
  }
  return tools->empty() ? Json(nullptr) : *tools;
}

}  // namespace ecld
