#include "serve/openai_answer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "core/unicode.h"

namespace ecld {
namespace {

std::string Event(const Json& json) {
  return "data: " + json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n\n";
}

// What a token is called where only text is allowed. One that is a part of a character is "bytes:\xe2\x82", as OpenAI
// writes it; an id that only the model has is "token_id:N".
std::string TokenName(const Tokenizer& tokenizer, int32_t id) {
  const std::string_view bytes = tokenizer.Bytes(id, false);
  if (bytes.empty()) return fmt::format("token_id:{}", id);
  if (ValidRun(bytes, 0) == bytes.size()) return std::string(bytes);
  std::string name = "bytes:";
  for (char c : bytes) name += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
  return name;
}

Json Number(const std::optional<double>& number) { return number ? Json(*number) : Json(nullptr); }

// A chat's log-probabilities are one list; a completion's are four lists of equal length.
void Append(Json* all, const Json& more) {
  if (all->is_null())
    *all = more;
  else
    for (const auto& [key, list] : more.items())
      for (const Json& entry : list) (*all)[key].push_back(entry);
}

}  // namespace

Answer::Answer(ApiRequest request, std::string id, int64_t created, const std::vector<Choice>& choices,
               const Tokenizer& tokenizer)
    : request_(std::move(request)),
      id_(std::move(id)),
      created_(created),
      tokenizer_(&tokenizer),
      unfinished_(choices.size()) {
  for (const Choice& choice : choices) states_.push_back({.options = choice, .offset = -choice.hidden_characters});
}

std::string Answer::Add(size_t choice, SequenceUpdate update) {
  State& state = states_[choice];
  const bool first = !std::exchange(state.started, true);
  state.prompt_tok = update.prompt_tok;
  state.answer_tok = update.answer_tok;
  Json logprobs = request_.top_logprobs ? Logprobs(&state, update) : Json(nullptr);
  std::string text = (first ? state.options.echo : "") + update.text;
  if (update.finish) {
    --unfinished_;
    state.finish = *update.finish == Finish::kStop ? "stop" : *update.finish == Finish::kLength ? "length" : "error";
  }
  if (!request_.stream) {
    state.text += text;
    if (request_.top_logprobs) Append(&state.logprobs, logprobs);
    return {};
  }
  const bool quiet = text.empty() && update.reports.empty() && update.prompt_reports.empty();
  if (quiet && !first && !update.finish) return {};
  const auto event = [&](const std::string& part, Json part_logprobs, const Json& finish) {
    Json frame = Frame("chat.completion.chunk", "text_completion");
    frame["choices"] = Json::array({ChoiceJson(choice, part, std::move(part_logprobs), finish, first)});
    if (request_.include_usage) frame["usage"] = nullptr;
    return Event(frame);
  };
  std::string events;
  if (!quiet || first) events += event(text, std::move(logprobs), nullptr);
  if (state.finish == "stop" || state.finish == "length") events += event("", nullptr, state.finish);
  return events;
}

int64_t Answer::Characters(std::string_view utf8) {
  return std::ranges::count_if(utf8, [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; });
}

// {"token", "logprob", "bytes"} of the token and of its rivals.
Json Answer::TokenEntry(const TokenReport& report) const {
  const auto entry = [&](int32_t id, const std::optional<double>& logprob) {
    Json bytes = Json::array();
    for (char c : tokenizer_->Bytes(id, false)) bytes.push_back(static_cast<uint8_t>(c));
    return Json{{"token", TokenName(*tokenizer_, id)}, {"logprob", Number(logprob)}, {"bytes", bytes}};
  };
  Json result = entry(report.id, report.logprob);
  result["top_logprobs"] = Json::array();
  for (const TokenChance& chance : report.top) result["top_logprobs"].push_back(entry(chance.id, chance.logprob));
  return result;
}

Json Answer::Logprobs(State* state, const SequenceUpdate& update) const {
  if (request_.chat) {
    Json content = Json::array();
    for (const TokenReport& report : update.reports) content.push_back(TokenEntry(report));
    return {{"content", content}};
  }
  Json result = {{"tokens", Json::array()},
                 {"token_logprobs", Json::array()},
                 {"top_logprobs", Json::array()},
                 {"text_offset", Json::array()}};
  const auto add = [&](const TokenReport& report) {
    result["tokens"].push_back(TokenName(*tokenizer_, report.id));
    result["token_logprobs"].push_back(Number(report.logprob));
    Json top = report.logprob ? Json::object() : Json(nullptr);
    for (const TokenChance& chance : report.top) top.emplace(TokenName(*tokenizer_, chance.id), chance.logprob);
    result["top_logprobs"].push_back(top);
    result["text_offset"].push_back(std::max<int64_t>(0, state->offset));
    state->offset += Characters(tokenizer_->Bytes(report.id, false));
  };
  for (const TokenReport& report : update.prompt_reports) add(report);
  for (const TokenReport& report : update.reports) add(report);
  return result;
}

Json Answer::ChoiceJson(size_t index, const std::string& text, Json logprobs, const Json& finish, bool first) const {
  Json choice = {{"index", index}};
  if (!request_.chat) {
    choice["text"] = text;
  } else if (!request_.stream) {
    choice["message"] = {{"role", "assistant"}, {"content", text}, {"refusal", nullptr}};
  } else {
    Json delta = Json::object();
    if (first) delta["role"] = "assistant";
    if (finish.is_null()) delta["content"] = text;
    choice["delta"] = delta;
  }
  choice["logprobs"] = std::move(logprobs);
  choice["finish_reason"] = finish;
  return choice;
}

Json Answer::Frame(const char* chat_object, const char* completion_object) const {
  return {{"id", id_},
          {"object", request_.chat ? chat_object : completion_object},
          {"created", created_},
          {"model", request_.model}};
}

int64_t Answer::prompt_tok() const {
  int64_t sum = 0;  // the choices of one prompt share it
  for (size_t i = 0; i < states_.size(); i += static_cast<size_t>(request_.n)) sum += states_[i].prompt_tok;
  return sum;
}

int64_t Answer::answer_tok() const {
  int64_t sum = 0;
  for (const State& state : states_) sum += state.answer_tok;
  return sum;
}

Json Answer::Usage() const {
  return {{"prompt_tokens", prompt_tok()},
          {"completion_tokens", answer_tok()},
          {"total_tokens", prompt_tok() + answer_tok()}};
}

Json Answer::Whole() const {
  Json whole = Frame("chat.completion", "text_completion");
  whole["choices"] = Json::array();
  for (size_t i = 0; i < states_.size(); ++i)
    whole["choices"].push_back(ChoiceJson(i, states_[i].text, states_[i].logprobs, states_[i].finish, true));
  whole["usage"] = Usage();
  return whole;
}

std::string Answer::LastEvents() const {
  std::string events;
  if (request_.include_usage) {
    Json frame = Frame("chat.completion.chunk", "text_completion");
    frame["choices"] = Json::array();
    frame["usage"] = Usage();
    events = Event(frame);
  }
  return events + "data: [DONE]\n\n";
}

std::string Answer::ErrorEvent(const std::string& message, const ApiError::Detail& detail) {
  return Event(ErrorJson(message, detail));
}

std::string Answer::FinishNames() const {
  std::set<std::string> names;
  for (const State& state : states_) names.insert(state.finish.empty() ? "unfinished" : state.finish);
  return fmt::format("{}", fmt::join(names, "+"));
}

}  // namespace ecld
