#include "serve/openai_request.h"

#include <fmt/format.h>

#include <limits>

#include "serve/request_fields.h"

namespace ecld {
namespace {

constexpr int64_t kAny = std::numeric_limits<int64_t>::max();
constexpr int64_t kMaxChoices = 128;
constexpr size_t kMaxStops = 4;
constexpr size_t kMaxStopB = 256;

Json ParseBody(std::string_view body) {
  try {
    return ParseJson(body, "request body");
  } catch (const ApiError&) {
    throw;
  } catch (const Error& error) {
    throw ApiError(error.what(), {});
  }
}

void ReadStop(RequestFields& fields, ApiRequest* request) {
  const Json* stop = fields.Find("stop");
  if (!stop) return;
  const std::string expected =
      fmt::format("a string of 1 to {} bytes, or a list of 1 to {} such strings", kMaxStopB, kMaxStops);
  const Json list = stop->is_array() ? *stop : Json::array({*stop});
  if (list.empty() || list.size() > kMaxStops) fields.Wrong("stop", expected);
  for (const Json& text : list) {
    if (!text.is_string()) FailField("stop", expected, text);
    request->stop.push_back(text.get<std::string>());
    if (request->stop.back().empty() || request->stop.back().size() > kMaxStopB) fields.Wrong("stop", expected);
  }
}

// What both endpoints have.
void ReadShared(RequestFields& fields, ApiRequest* request) {
  const auto model = fields.String("model");
  if (!model) throw ApiError("model is missing", {.param = "model"});
  request->model = *model;
  request->temperature = fields.Number("temperature", 0, 2).value_or(1);
  request->top_p = fields.Number("top_p", 0, 1).value_or(1);
  if (request->top_p == 0) fields.Wrong("top_p", "a number above 0, up to 1");
  request->n = fields.Int("n", 1, kMaxChoices).value_or(1);
  if (const auto seed = fields.Int("seed", std::numeric_limits<int64_t>::min(), kAny))
    request->seed = static_cast<uint64_t>(*seed);
  ReadStop(fields, request);
  request->stream = fields.Bool("stream").value_or(false);
  if (const Json* options = fields.Find("stream_options")) {
    if (!request->stream) throw ApiError("stream_options needs stream: true", {.param = "stream_options"});
    RequestFields inner(*options, "stream_options");
    request->include_usage = inner.Bool("include_usage").value_or(false);
    inner.AcceptOnly("include_obfuscation", {false, true});  // padding against eavesdroppers; there is no TLS either
    inner.RefuseRest();
  }
  for (const char* name : {"user", "safety_identifier", "prompt_cache_key", "metadata"}) fields.Ignore(name);
  fields.AcceptOnly("service_tier", {"auto", "default"});
  fields.AcceptOnly("frequency_penalty", {0});
  fields.AcceptOnly("presence_penalty", {0});
  fields.AcceptOnly("logit_bias", {Json::object()});
}

std::vector<int32_t> ReadIds(const Json& list, const std::string& param) {
  std::vector<int32_t> ids;
  for (const Json& id : list) {
    if (!id.is_number_integer() || id < 0 || id > std::numeric_limits<int32_t>::max())
      FailField(param, "a string, token ids, or a list of either", id);
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

std::vector<ApiPrompt> ReadPrompts(RequestFields& fields) {
  const Json* prompt = fields.Find("prompt");
  if (!prompt) throw ApiError("prompt is missing", {.param = "prompt"});
  if (prompt->is_string()) return {prompt->get<std::string>()};
  const char* expected = "a string, token ids, or a list of either";
  if (!prompt->is_array() || prompt->empty()) fields.Wrong("prompt", expected);
  if (prompt->front().is_number()) return {ReadIds(*prompt, "prompt")};
  std::vector<ApiPrompt> prompts;
  for (const Json& one : *prompt) {
    const std::string param = fmt::format("prompt[{}]", prompts.size());
    if (one.is_string())
      prompts.emplace_back(one.get<std::string>());
    else if (one.is_array() && !one.empty())
      prompts.emplace_back(ReadIds(one, param));
    else
      FailField(param, expected, one);
  }
  return prompts;
}

// "content" as one text: a string, or parts {"type": "text", "text": ...}.
std::string ReadContent(RequestFields& message, const std::string& path) {
  const std::string param = path + ".content";
  const Json* content = message.Find("content");
  if (!content) throw ApiError(param + " is missing", {.param = param});
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) message.Wrong("content", "a string or a list of text parts");
  std::string text;
  for (size_t i = 0; i < content->size(); ++i) {
    const std::string part_path = fmt::format("{}[{}]", param, i);
    RequestFields part((*content)[i], part_path);
    const auto type = part.String("type");
    if (!type) throw ApiError(part_path + ".type is missing", {.param = part_path + ".type"});
    if (*type != "text") part.Wrong("type", "\"text\", the only kind of content that this server reads");
    const auto part_text = part.String("text");
    if (!part_text) throw ApiError(part_path + ".text is missing", {.param = part_path + ".text"});
    part.RefuseRest();
    text += *part_text;
  }
  return text;
}

Json ReadMessages(RequestFields& fields) {
  const Json* messages = fields.Find("messages");
  if (!messages) throw ApiError("messages is missing", {.param = "messages"});
  if (!messages->is_array() || messages->empty()) fields.Wrong("messages", "a list of at least one message");
  Json result = Json::array();
  for (size_t i = 0; i < messages->size(); ++i) {
    const std::string path = fmt::format("messages[{}]", i);
    RequestFields message((*messages)[i], path);
    const auto role = message.String("role");
    if (!role) throw ApiError(path + ".role is missing", {.param = path + ".role"});
    if (*role != "system" && *role != "developer" && *role != "user" && *role != "assistant")
      message.Wrong("role", "system, developer, user or assistant");
    // "developer" is OpenAI's newer name of the same role, which templates do not know.
    Json read = {{"role", *role == "developer" ? "system" : *role}, {"content", ReadContent(message, path)}};
    if (const auto name = message.String("name")) read["name"] = *name;
    message.AcceptOnly("refusal", {});
    message.AcceptOnly("tool_calls", {Json::array()});
    message.RefuseRest();
    result.push_back(std::move(read));
  }
  return result;
}

}  // namespace

Json ErrorJson(const std::string& message, const ApiError::Detail& detail) {
  const auto or_null = [](const std::optional<std::string>& text) { return text ? Json(*text) : Json(nullptr); };
  return {{"error",
           {{"message", message},
            {"type", detail.type},
            {"param", or_null(detail.param)},
            {"code", or_null(detail.code)}}}};
}

ApiRequest ReadCompletionRequest(std::string_view text) {
  const Json body = ParseBody(text);
  RequestFields fields(body);
  ApiRequest request;
  ReadShared(fields, &request);
  request.prompts = ReadPrompts(fields);
  request.echo = fields.Bool("echo").value_or(false);
  request.max_tokens = fields.Int("max_tokens", 0, kAny).value_or(16);
  if (request.max_tokens == 0 && !request.echo)
    fields.Wrong("max_tokens", "a whole number of at least 1, or 0 together with echo");
  request.top_logprobs = fields.Int("logprobs", 0, 20);
  fields.AcceptOnly("best_of", {1});
  fields.AcceptOnly("suffix", {""});
  fields.RefuseRest();
  return request;
}

ApiRequest ReadChatRequest(std::string_view text) {
  const Json body = ParseBody(text);
  RequestFields fields(body);
  ApiRequest request{.chat = true};
  ReadShared(fields, &request);
  request.messages = ReadMessages(fields);
  request.max_tokens = fields.Int("max_completion_tokens", 1, kAny);
  const auto older_name = fields.Int("max_tokens", 1, kAny);
  if (request.max_tokens && older_name)
    throw ApiError("max_tokens and max_completion_tokens mean the same: give one", {.param = "max_tokens"});
  if (!request.max_tokens) request.max_tokens = older_name;
  const bool logprobs = fields.Bool("logprobs").value_or(false);
  const auto top = fields.Int("top_logprobs", 0, 20);
  if (top && !logprobs) throw ApiError("top_logprobs needs logprobs: true", {.param = "top_logprobs"});
  if (logprobs) request.top_logprobs = top.value_or(0);
  fields.AcceptOnly("response_format", {Json::object({{"type", "text"}})});
  fields.AcceptOnly("tools", {Json::array()});
  fields.AcceptOnly("tool_choice", {"none"});
  fields.AcceptOnly("parallel_tool_calls", {true, false});  // there are no tools to call
  fields.AcceptOnly("modalities", {Json::array({"text"})});
  fields.AcceptOnly("store", {false});
  fields.RefuseRest();
  return request;
}

}  // namespace ecld
