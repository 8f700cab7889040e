#include "serve/openai_request.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "serve/openai_messages.h"
#include "serve/request_fields.h"

namespace ecld {
namespace {

constexpr int64_t kAny = std::numeric_limits<int64_t>::max();
constexpr int64_t kMaxChoices = 128;
constexpr int64_t kMaxTopLogprobs = 20;
constexpr int32_t kMaxId = std::numeric_limits<int32_t>::max();
constexpr double kMaxPenalty = 2, kMaxBias = 100;
constexpr size_t kMaxStopB = 64 * 1024;  // of all stop strings of a request

// Fields that other servers have, or OpenAI's, and this one does not support, with the values that ask for nothing.
struct Unsupported {
  const char* name;
  std::vector<Json> neutral;
};

const std::vector<Unsupported>& UnsupportedFields() {
  static const Json text_format = Json::object({{"type", "text"}});
  static const std::vector<Unsupported> fields = {
      {"response_format", {text_format}},
      {"structured_outputs", {}},
      {"guided_json", {}},
      {"guided_regex", {}},
      {"guided_choice", {}},
      {"guided_grammar", {}},
      {"structural_tag", {}},
      {"grammar", {""}},
      {"json_schema", {}},
      {"use_beam_search", {false}},
      {"length_penalty", {1}},
      {"early_stopping", {false}},
      {"min_tokens", {0}},
      {"bad_words", {Json::array()}},
      {"allowed_token_ids", {}},
      {"logits_processors", {Json::array()}},
      {"prompt_logprobs", {}},
      {"truncate_prompt_tokens", {}},
      {"include_stop_str_in_output", {false}},
      {"skip_special_tokens", {true}},
      {"return_tokens_as_token_ids", {false}},
      {"return_token_ids", {false}},
      {"mm_processor_kwargs", {Json::object()}},
      {"repeat_penalty", {1}},  // over the last tokens only, where repetition_penalty counts all
      {"typical_p", {1}},
      {"typ_p", {1}},
      {"tfs_z", {1}},
      {"top_n_sigma", {-1}},
      {"mirostat", {0}},
      {"dynatemp_range", {0}},
      {"dry_multiplier", {0}},
      {"xtc_probability", {0}},
      {"n_probs", {0}},
      {"lora", {Json::array()}},
  };
  return fields;
}

// Those of chats alone.
const std::vector<Unsupported>& UnsupportedChatFields() {
  static const std::vector<Unsupported> fields = {
      {"tool_choice", {"none", "auto"}},
      {"functions", {Json::array()}},
      {"function_call", {"none"}},
      {"modalities", {Json::array({"text"})}},
      {"audio", {}},
      {"verbosity", {"medium"}},
      {"web_search_options", {}},
      {"chat_template", {}},
      {"parse_tool_calls", {false}},
      {"reasoning_format", {"none"}},
  };
  return fields;
}

// Which change no answer: who asks, what may be kept, how soon or how fast it comes, and what is said beside it.
constexpr std::array kHarmless = {
    "user",
    "safety_identifier",
    "metadata",
    "store",
    "prompt_cache_key",
    "prompt_cache_retention",
    "cache_prompt",
    "cache_salt",
    "id_slot",
    "slot_id",
    "priority",
    "request_id",
    "prediction",
    "return_progress",
    "timings_per_token",
    "include_reasoning",
    "spaces_between_special_tokens",
};

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
  if (const Json* stop = fields.Find("stop")) {
    constexpr const char* kExpected = "a string, or a list of strings, none of them empty";
    size_t stop_B = 0;
    for (const Json& text : stop->is_array() ? *stop : Json::array({*stop})) {
      if (!text.is_string() || text.get_ref<const std::string&>().empty()) FailField("stop", kExpected, text);
      request->stop.push_back(text.get<std::string>());
      stop_B += request->stop.back().size();
    }
    if (stop_B > kMaxStopB) fields.Wrong("stop", fmt::format("strings of {} bytes together at most", kMaxStopB));
  }
  if (const Json* ids = fields.Find("stop_token_ids")) {
    if (!ids->is_array()) fields.Wrong("stop_token_ids", "a list of token ids");
    for (const Json& id : *ids) {
      if (!id.is_number_integer() || id < 0 || id > kMaxId) FailField("stop_token_ids", "a list of token ids", id);
      request->stop_ids.push_back(id.get<int64_t>());
    }
  }
  request->ignore_eos = fields.Bool("ignore_eos").value_or(false);
}

// {"token id": what is added to its logit}
void ReadBias(RequestFields& fields, ApiRequest* request) {
  const Json* bias = fields.Find("logit_bias");
  if (!bias) return;
  if (!bias->is_object()) fields.Wrong("logit_bias", "an object from token ids to numbers");
  for (const auto& [key, value] : bias->items()) {
    int32_t id = -1;
    const char* end = key.data() + key.size();
    const auto [stopped, error] = std::from_chars(key.data(), end, id);
    // "05" beside "5" would be the same id twice.
    if (error != std::errc() || stopped != end || std::to_string(id) != key || id < 0)
      FailField("logit_bias", "token ids as keys", Json(key));
    if (!value.is_number() || !(std::abs(value.get<double>()) <= kMaxBias))
      FailField("logit_bias." + key, fmt::format("a number from {} to {}", -kMaxBias, kMaxBias), value);
    request->logit_bias.emplace_back(id, value.get<float>());
  }
}

void ReadSampling(RequestFields& fields, ApiRequest* request) {
  SamplingValues& values = request->sampling;
  values.temperature = fields.Number("temperature", 0, 2);
  values.top_k = fields.Int("top_k", -1, kAny);
  if (values.top_k == -1) values.top_k = 0;  // another way to say all
  values.top_p = fields.Number("top_p", 0, 1);
  if (values.top_p == 0) fields.Wrong("top_p", "a number above 0, up to 1");
  values.min_p = fields.Number("min_p", 0, 1);
  values.repetition_penalty = fields.Number("repetition_penalty", kLeastRepetitionPenalty, kMostRepetitionPenalty);
  values.frequency_penalty = fields.Number("frequency_penalty", -kMaxPenalty, kMaxPenalty);
  values.presence_penalty = fields.Number("presence_penalty", -kMaxPenalty, kMaxPenalty);
  ReadBias(fields, request);
  if (const auto seed = fields.Int("seed", std::numeric_limits<int64_t>::min(), kAny))
    request->seed = static_cast<uint64_t>(*seed);
}

// What both endpoints have.
void ReadShared(RequestFields& fields, UnknownFields& unknown, ApiRequest* request) {
  const auto model = fields.String("model");
  if (!model) throw ApiError("model is missing", {.param = "model"});
  request->model = *model;
  ReadSampling(fields, request);
  request->n = fields.Int("n", 1, kMaxChoices).value_or(1);
  ReadStop(fields, request);
  request->add_special_tokens = fields.Bool("add_special_tokens");
  request->stream = fields.Bool("stream").value_or(false);
  if (const Json* options = fields.Find("stream_options")) {
    if (!request->stream) throw ApiError("stream_options needs stream: true", {.param = "stream_options"});
    RequestFields inner(*options, unknown, "stream_options");
    request->include_usage = inner.Bool("include_usage").value_or(false);
    inner.AcceptOnly("include_obfuscation", {false, true});  // padding against eavesdroppers; there is no TLS either
    inner.AcceptOnly("continuous_usage_stats", {false});
    inner.RefuseRest();
  }
  for (const char* name : kHarmless) fields.Ignore(name);
  fields.AcceptOnly("service_tier", {"auto", "default", "flex", "scale", "priority"});
  fields.AcceptOnly("best_of", {request->n});
  for (const auto& [name, neutral] : UnsupportedFields()) fields.AcceptOnly(name, neutral);
}

// What the template is given beside the messages.
void ReadTemplateValues(RequestFields& fields, ApiRequest* request) {
  Json& values = request->template_values;
  if (const Json* more = fields.Find("chat_template_kwargs")) {
    if (!more->is_object()) fields.Wrong("chat_template_kwargs", "an object");
    for (const char* name :
         {"messages", "tools", "documents", "add_generation_prompt", "continue_final_message", "chat_template"})
      if (more->contains(name))
        throw ApiError(fmt::format("chat_template_kwargs.{} is a field of the request itself", name),
                       {.param = fmt::format("chat_template_kwargs.{}", name)});
    values = *more;
  }
  if (const auto effort = fields.String("reasoning_effort")) values["reasoning_effort"] = *effort;
  // No tool can be called where the request says so: then the model had better not know of any.
  const Json tools = ReadTools(fields);
  const Json* choice = fields.Find("tool_choice");
  values["tools"] = choice && *choice == "none" ? Json(nullptr) : tools;
  const Json* documents = fields.Find("documents");
  if (documents && !documents->is_array()) fields.Wrong("documents", "a list of objects");
  if (documents)
    for (const Json& document : *documents)
      if (!document.is_object()) FailField("documents", "a list of objects", document);
  values["documents"] = documents ? *documents : Json(nullptr);

  const auto begins = fields.Bool("add_generation_prompt");
  request->continue_final_message = fields.Bool("continue_final_message").value_or(false);
  if (request->continue_final_message && begins.value_or(false))
    throw ApiError(
        "continue_final_message goes on with the last message, add_generation_prompt begins another: give one",
        {.param = "continue_final_message"});
  request->add_generation_prompt = begins.value_or(!request->continue_final_message);
}

std::vector<int32_t> ReadIds(const Json& list, const std::string& param) {
  std::vector<int32_t> ids;
  for (const Json& id : list) {
    if (!id.is_number_integer() || id < 0 || id > kMaxId)
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

}  // namespace

Json ErrorJson(const std::string& message, const ApiError::Detail& detail) {
  const auto or_null = [](const std::optional<std::string>& text) { return text ? Json(*text) : Json(nullptr); };
  return {{"error",
           {{"message", message},
            {"type", detail.type},
            {"param", or_null(detail.param)},
            {"code", or_null(detail.code)}}}};
}

ApiRequest ReadCompletionRequest(std::string_view text, bool ignore_unknown) {
  const Json body = ParseBody(text);
  UnknownFields unknown{.accept = ignore_unknown};
  RequestFields fields(body, unknown);
  ApiRequest request;
  ReadShared(fields, unknown, &request);
  request.prompts = ReadPrompts(fields);
  request.echo = fields.Bool("echo").value_or(false);
  request.max_tokens = fields.Int("max_tokens", 0, kAny).value_or(16);
  if (request.max_tokens == 0 && !request.echo)
    fields.Wrong("max_tokens", "a whole number of at least 1, or 0 together with echo");
  // A number; but chats have true and false there, and false asks for nothing here too.
  if (const Json* logprobs = fields.Find("logprobs"); logprobs && *logprobs != false)
    request.top_logprobs = fields.Int("logprobs", 0, kMaxTopLogprobs);
  fields.AcceptOnly("suffix", {""});
  fields.RefuseRest();
  request.ignored = std::move(unknown.accepted);
  return request;
}

ApiRequest ReadChatRequest(std::string_view text, bool ignore_unknown) {
  const Json body = ParseBody(text);
  UnknownFields unknown{.accept = ignore_unknown};
  RequestFields fields(body, unknown);
  ApiRequest request{.chat = true};
  ReadShared(fields, unknown, &request);
  request.messages = ReadMessages(fields, unknown);
  ReadTemplateValues(fields, &request);
  request.max_tokens = fields.Int("max_completion_tokens", 1, kAny);
  const auto older_name = fields.Int("max_tokens", 1, kAny);
  if (request.max_tokens && older_name && *request.max_tokens != *older_name)
    throw ApiError("max_tokens and max_completion_tokens mean the same: give one", {.param = "max_tokens"});
  if (!request.max_tokens) request.max_tokens = older_name;
  const bool logprobs = fields.Bool("logprobs").value_or(false);
  const auto top = fields.Int("top_logprobs", 0, kMaxTopLogprobs);
  if (top.value_or(0) > 0 && !logprobs) throw ApiError("top_logprobs needs logprobs: true", {.param = "top_logprobs"});
  if (logprobs) request.top_logprobs = top.value_or(0);
  fields.AcceptOnly("parallel_tool_calls", {true, false});  // the answer is text
  fields.AcceptOnly("echo", {false});
  for (const auto& [name, neutral] : UnsupportedChatFields()) fields.AcceptOnly(name, neutral);
  fields.RefuseRest();
  request.ignored = std::move(unknown.accepted);
  return request;
}

}  // namespace ecld
