#include "serve/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <random>
#include <sstream>
#include <thread>
#include <utility>

#include "core/ascii.h"
#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "core/version.h"
#include "serve/chat_prompt.h"

namespace ecld {
namespace {

// OpenAI's paths, and those that llama-server and vLLM have beside them.
enum class What { kCompletion, kChat, kModels, kModel, kHealth, kProgram };
struct Path {
  std::string_view path;
  What what;
};
constexpr std::string_view kOneModel = "/v1/models/", kOneModelToo = "/models/";
constexpr std::array<Path, 14> kRoutes = {{{"/v1/completions", What::kCompletion},
                                           {"/completions", What::kCompletion},
                                           {"/v1/chat/completions", What::kChat},
                                           {"/chat/completions", What::kChat},
                                           {"/v1/models", What::kModels},
                                           {"/models", What::kModels},
                                           {kOneModel, What::kModel},
                                           {kOneModelToo, What::kModel},
                                           {"/health", What::kHealth},
                                           {"/v1/health", What::kHealth},
                                           {"/ping", What::kHealth},
                                           {"/", What::kProgram},
                                           {"/v1", What::kProgram},
                                           {"/version", What::kProgram}}};

constexpr double kLastWordsS = 2;  // for the last bytes to reach the clients

// Compares in a time that does not depend on where the two differ.
bool SameKey(std::string_view a, std::string_view b) {
  unsigned difference = a.size() != b.size() ? 1 : 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    difference |= static_cast<unsigned>(static_cast<uint8_t>(a[i]) ^ static_cast<uint8_t>(b[i]));
  return difference == 0;
}

HttpOptions WithRefusal(HttpOptions options) {
  options.refusal = [](int status, const std::string& message) {
    return ErrorResponse(message, {.status = status, .type = status < 500 ? "invalid_request_error" : "server_error"});
  };
  return options;
}

}  // namespace

std::vector<std::string> ReadApiKeys(const std::filesystem::path& file) {
  std::vector<std::string> keys;
  std::istringstream lines(ReadTextFile(file));
  for (std::string key; std::getline(lines, key);) {
    if (key.ends_with('\r')) key.pop_back();
    if (!key.empty()) keys.push_back(key);
  }
  if (keys.empty()) Fail(file.string(), "holds no key, expected one per line");
  return keys;
}

Server::Server(const RuntimeModel& model, const Tokenizer& tokenizer, const ChatTemplate* chat_template,
               ThreadPool& pool, ServerOptions options)
    : options_(std::move(options)),
      model_(model),
      tokenizer_(tokenizer),
      chat_template_(chat_template),
      created_(std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
                   .count()),
      http_(WithRefusal(options_.http)),
      engine_(model, tokenizer, pool, options_.engine) {
  http_.Start([this](const HttpRequest& request, const std::shared_ptr<HttpReply>& reply) { Handle(request, reply); });
}

Server::~Server() { http_.Stop(); }

void Server::Shutdown(double grace_s) {
  closed_ = true;
  http_.Close();
  engine_.Close();
  const auto await_engine = [&](double seconds) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    const auto busy = [&] {
      const Engine::Load load = engine_.load();
      return load.running + load.waiting > 0;
    };
    while (busy() && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  };
  await_engine(grace_s);
  engine_.EndAll();
  await_engine(kLastWordsS);
  http_.AwaitIdle(kLastWordsS);
}

void Server::Handle(const HttpRequest& request, const std::shared_ptr<HttpReply>& reply) {
  const auto exchange = std::make_shared<Exchange>(request, reply);
  try {
    Route(request, exchange);
  } catch (const ApiError& error) {
    exchange->Refuse(error.what(), error.detail());
  } catch (const Error& error) {
    exchange->Refuse(error.what(), {});
  } catch (const std::exception& error) {
    LogWarning("a request failed: {}", error.what());
    exchange->Refuse("the server failed", {.status = 500, .type = "server_error"});
  }
}

void Server::Route(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
  std::string_view path = request.path, model_name;
  for (const std::string_view one_model : {kOneModel, kOneModelToo}) {
    if (!request.path.starts_with(one_model)) continue;
    path = one_model;
    model_name = std::string_view(request.path).substr(one_model.size());
  }
  // Balancers ask so whether a server lives.
  if (path == "*" && request.method == "OPTIONS") return exchange->SendMethods("GET, HEAD, POST, OPTIONS");
  const auto route = std::ranges::find(kRoutes, path, &Path::path);
  if (route == kRoutes.end())
    throw ApiError("there is no " + request.path + " here; GET / lists the paths that there are",
                   {.status = 404, .code = "unknown_url"});
  const bool post = route->what == What::kCompletion || route->what == What::kChat;
  const std::string method = post ? "POST" : "GET", allowed = post ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
  if (request.method == "OPTIONS") return exchange->SendMethods(allowed);
  if (request.method != method && (post || request.method != "HEAD"))
    throw ApiError(fmt::format("{} takes {}, not {}", request.path, method, request.method),
                   {.status = 405, .code = "method_not_allowed", .allow = allowed});
  if (closed_) throw ShuttingDown();
  if (route->what == What::kHealth) return exchange->Send(HealthJson());
  if (route->what == What::kProgram) return exchange->Send(ProgramJson());
  CheckKey(request);
  switch (route->what) {
    case What::kCompletion:
      return Continue(ReadCompletionRequest(request.body, options_.ignore_unknown), exchange);
    case What::kChat:
      return Continue(ReadChatRequest(request.body, options_.ignore_unknown), exchange);
    case What::kModel:
      CheckModel(std::string(model_name));
      return exchange->Send(ModelJson());
    default:
      return exchange->Send({{"object", "list"}, {"data", Json::array({ModelJson()})}});
  }
}

void Server::CheckKey(const HttpRequest& request) const {
  constexpr std::string_view kBearer = "bearer ";  // in any case (RFC 9110, 11.1)
  bool good = options_.api_keys.empty();
  std::string_view given = request.authorization;
  const bool bearer = StartsWithWord(given, kBearer);
  given.remove_prefix(bearer ? kBearer.size() : given.size());
  for (const std::string& key : options_.api_keys) good |= SameKey(given, key);
  if (!good)
    throw ApiError("the header Authorization holds no key of this server, expected \"Bearer KEY\"",
                   {.status = 401, .code = "invalid_api_key"});
}

void Server::CheckModel(const std::string& name) const {
  if (name != options_.model_name)
    throw ApiError(fmt::format("the model \"{}\" does not exist, this server has \"{}\"", name, options_.model_name),
                   {.status = 404, .param = "model", .code = "model_not_found"});
}

void Server::Continue(ApiRequest request, const std::shared_ptr<Exchange>& exchange) {
  CheckModel(request.model);
  for (const auto& [id, unused] : request.logit_bias) CheckId(id, "logit_bias");
  for (const std::string& name : request.ignored)
    LogOnce(fmt::format("the parameter {} of requests is not known and is ignored", Json(name).dump()));
  std::vector<Answer::Choice> choices;
  std::vector<SequenceRequest> sequences = Sequences(request, &choices);
  std::string id = fmt::format("{}-{:08x}{:08x}", request.chat ? "chatcmpl" : "cmpl", created_, next_id_++);
  const bool stream = request.stream;
  Exchange::Begin(exchange, std::make_unique<Answer>(std::move(request), std::move(id), created_, choices, tokenizer_),
                  stream);
  const Engine::Admission admission = engine_.Submit(
      std::move(sequences),
      [exchange](size_t choice, SequenceUpdate update) { exchange->Take(choice, std::move(update)); },
      exchange->cancelled());
  if (admission == Engine::Admission::kClosed) throw ShuttingDown();
  if (admission == Engine::Admission::kQueueFull)
    throw ApiError(fmt::format("too many requests: {} wait already, try again later", engine_.load().waiting),
                   {.status = 429, .type = "rate_limit_error", .code = "queue_full", .retry_after_s = 1});
}

std::vector<SequenceRequest> Server::Sequences(const ApiRequest& request, std::vector<Answer::Choice>* choices) {
  const size_t prompts = request.chat ? 1 : request.prompts.size();
  const auto most = static_cast<size_t>(engine_.options().max_queue);
  if (prompts * static_cast<size_t>(request.n) > most)
    throw ApiError(fmt::format("asks for {} texts at once, this server takes up to {}",
                               prompts * static_cast<size_t>(request.n), most),
                   {.param = request.n > 1 ? "n" : "prompt"});
  const uint64_t seed = request.seed ? *request.seed : std::random_device()();
  SamplerOptions sampler{.temperature = 1, .logit_bias = request.logit_bias};
  sampler.Set(request.sampling.Or(options_.sampling));
  std::vector<SequenceRequest> sequences;
  for (size_t prompt = 0; prompt < prompts; ++prompt) {
    Answer::Choice choice;
    SequenceRequest sequence{
        .prompt = request.chat ? ChatIds(request) : PromptIds(request, request.prompts[prompt], &choice),
        .sampler = sampler,
        .stop = request.stop,
        .stop_ids = request.stop_ids,
        .ignore_eos = request.ignore_eos,
        .start = request.chat && !request.continue_final_message ? TextStream::Start::kText
                                                                 : TextStream::Start::kContinuation,
        .top_logprobs = request.top_logprobs,
        .score_prompt = request.echo && request.top_logprobs,
        .report_end = !request.chat};
    if (!request.echo) choice = {};
    sequence.max_tokens = MaxTokens(request, static_cast<int64_t>(sequence.prompt.size()));
    for (int64_t i = 0; i < request.n; ++i) {
      sequence.sampler.seed = seed + sequences.size();
      sequences.push_back(sequence);
      choices->push_back(choice);
    }
  }
  return sequences;
}

std::vector<int32_t> Server::PromptIds(const ApiRequest& request, const ApiPrompt& prompt,
                                       Answer::Choice* choice) const {
  const auto* given_ids = std::get_if<std::vector<int32_t>>(&prompt);
  std::vector<int32_t> ids =
      given_ids ? *given_ids
                : tokenizer_.Encode(std::get<std::string>(prompt), request.add_special_tokens.value_or(true));
  CheckPrompt(ids, "prompt");
  std::string bytes;
  for (int32_t id : ids) bytes += tokenizer_.Bytes(id, false);
  choice->echo = given_ids ? bytes : std::get<std::string>(prompt);
  choice->hidden_characters = std::max<int64_t>(0, Answer::Characters(bytes) - Answer::Characters(choice->echo));
  return ids;
}

std::vector<int32_t> Server::ChatIds(const ApiRequest& request) {
  if (!chat_template_)
    throw ApiError("this model has no chat template: use /v1/completions",
                   {.param = "messages", .code = "no_template"});
  if (const auto problem = chat_template_->problem(request.template_values))
    throw ApiError("the chat template of this model cannot be used, /v1/completions works: " + *problem,
                   {.param = "messages", .code = "no_template"});
  const std::string prompt = ChatPrompt(*chat_template_, request);
  for (const char* value : {"tools", "documents"})
    if (TemplateIgnores(*chat_template_, request, value, prompt))
      LogOnce(fmt::format("the chat template of this model makes nothing of {}: the model does not see them", value));
  std::vector<int32_t> ids = tokenizer_.Encode(prompt, request.add_special_tokens.value_or(false));
  CheckPrompt(ids, "messages");
  return ids;
}

// What the engine relies on: an error in a step would end all texts of it.
void Server::CheckPrompt(const std::vector<int32_t>& ids, const char* param) const {
  if (ids.empty()) throw ApiError(fmt::format("{}: holds no tokens", param), {.param = param});
  for (int32_t id : ids) CheckId(id, param);
}

void Server::CheckId(int32_t id, const char* param) const {
  const int64_t size = model_.config().vocab_size;
  if (id >= size)
    throw ApiError(fmt::format("{}: token id {} is outside the vocabulary of {}", param, id, size), {.param = param});
}

// Clients choose some of the texts, so there is an end to them.
void Server::LogOnce(const std::string& what) {
  constexpr size_t kMostTexts = 200;
  const std::lock_guard lock(said_mutex_);
  if (said_.size() < kMostTexts && said_.insert(what).second) LogInfo("{}", what);
}

// Tokens that the answer may have. THROWS ApiError when prompt and answer do not fit.
int64_t Server::MaxTokens(const ApiRequest& request, int64_t prompt_tok) const {
  const int64_t context = engine_.options().context;
  const int64_t limit = options_.max_tokens_limit;
  const char* prompt = request.chat ? "messages" : "prompt";
  const int64_t wanted = request.max_tokens.value_or(1);
  if (limit > 0 && wanted > limit)
    throw ApiError(fmt::format("max_tokens: this server gives at most {} tokens, found {}", limit, wanted),
                   {.param = "max_tokens"});
  // The last token chosen is not run, so it needs no position.
  if (wanted > context || prompt_tok > context - std::max<int64_t>(wanted - 1, 0))
    throw ApiError(fmt::format("{}: {} tokens and {} new ones do not fit into the context of {}", prompt, prompt_tok,
                               wanted, context),
                   {.param = prompt, .code = "context_length_exceeded"});
  if (request.max_tokens) return wanted;
  const int64_t room = context - prompt_tok + 1;
  return limit > 0 ? std::min(limit, room) : room;
}

Json Server::ModelJson() const {
  return {{"id", options_.model_name},
          {"object", "model"},
          {"created", created_},
          {"owned_by", "ecld"},
          {"max_model_len", engine_.options().context}};
}

Json Server::ProgramJson() {
  Json paths = Json::array();
  for (const Path& route : kRoutes) paths.push_back(route.path);
  return {{"program", "ecld"}, {"version", kProgramVersion}, {"paths", paths}};
}

Json Server::HealthJson() const {
  const Engine::Load load = engine_.load();
  return {{"status", "ok"},
          {"running", load.running},
          {"waiting", load.waiting},
          {"kv_reserved_B", load.kv_reserved_B},
          {"kv_budget_B", engine_.options().kv_budget_B}};
}

}  // namespace ecld
