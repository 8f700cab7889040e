#include <CLI/CLI.hpp>
#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>

#include "checkpoint/tokenizer/chat_template.h"
#include "checkpoint/tokenizer/tokenizer.h"
#include "cli/device/runtime_flags.h"
#include "cli/device/sampling_flags.h"
#include "cli/device/verbs.h"
#include "core/log.h"
#include "core/progress.h"
#include "serve/server.h"

namespace ecld {
namespace {

constexpr double kGraceS = 5;

struct ServeFlags {
  std::string model, api_key_file, chat_template;
  int threads = 0;
  RuntimeOptions runtime{.precision = Precision::kFast};
  GenerationConfigFlag generation_config;
  ServerOptions server;
};

// SIGINT and SIGTERM wait for Await, on whatever thread they arrive: threads started later inherit this.
class EndSignals {
 public:
  EndSignals() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }
  // A second signal, after the first, ends the process as usual.
  void Await() {
    int signal = 0;
    sigwait(&signals_, &signal);
    pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
  }

 private:
  sigset_t signals_;
};

void Announce(const Server& server, const ServeFlags& flags) {
  const EngineOptions& engine = server.engine().options();
  const std::string& host = flags.server.http.host;
  LogInfo("{} ({}, kv {}): up to {} texts at once and {} waiting, context {}, cache memory {}", flags.server.model_name,
          Name(flags.runtime.precision), Name(flags.runtime.Kv()), engine.max_batch, engine.max_queue, engine.context,
          FormatBytes(engine.kv_budget_B));
  if (!server.loopback() && flags.server.api_keys.empty())
    LogWarning("{} can be reached from other machines, and there is no authentication (--api-key-file)", host);
  // The one line on stdout: programs that start this read the address from it.
  fmt::print("http://{}:{}\n", host.find(':') == std::string::npos ? host : "[" + host + "]", server.port());
  std::fflush(stdout);
}

void Serve(ServeFlags flags) {
  flags.runtime.threads = flags.threads;
  const RuntimeModel model(Checkpoint::Open(flags.model), flags.runtime);
  const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::Open(flags.model);
  const std::optional<ChatTemplate> chat_template =
      ChatTemplate::Open(flags.model, tokenizer->special_tokens(), flags.chat_template);
  if (!chat_template)
    LogWarning("{} has no chat template: chat requests will be refused (--chat-template FILE gives one)", flags.model);
  else if (const auto problem = chat_template->problem())
    LogWarning("chat requests will be refused, completions are served: {}", *problem);
  flags.server.sampling = flags.generation_config.Read(flags.model);
  if (!flags.api_key_file.empty()) flags.server.api_keys = ReadApiKeys(flags.api_key_file);
  if (flags.server.model_name.empty())
    flags.server.model_name = std::filesystem::canonical(flags.model).filename().string();

  EndSignals signals;
  ThreadPool pool(flags.threads);
  Server server(model, *tokenizer, chat_template ? &*chat_template : nullptr, pool, flags.server);
  Announce(server, flags);
  signals.Await();
  LogInfo("shutting down: what runs has {} s to finish", kGraceS);
  server.Shutdown(kGraceS);
}

}  // namespace

std::function<void()> AddServe(CLI::App& verb) {
  auto flags = std::make_shared<ServeFlags>();
  HttpOptions& http = flags->server.http;
  EngineOptions& engine = flags->server.engine;
  verb.add_option("model", flags->model, "checkpoint directory")->required()->type_name("DIR");
  verb.add_option("--host", http.host,
                  "address or name to listen on; others than this machine's own can be reached by others")
      ->capture_default_str();
  verb.add_option("--port", http.port, "0: any free one")->capture_default_str()->check(CLI::Range(0, 65535));
  verb.add_option("--name", flags->server.model_name, "the model's name in requests (default: the directory's)");
  verb.add_option("--max-batch", engine.max_batch, "texts that run at once")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  verb.add_option("--max-queue", engine.max_queue, "texts that wait; more are refused")
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000));
  verb.add_option("--max-tokens-limit", flags->server.max_tokens_limit, "of one answer; 0: what the context holds")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  verb.add_option("--context", engine.context, "tokens of prompt and answer; 0: the model's")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  verb.add_option("--kv-memory", engine.kv_budget_B, "memory for the caches, like 2GB (default: half of what is free)")
      ->transform(CLI::AsSizeValue(true).description(""))
      ->type_name("SIZE");
  verb.add_option("--api-key-file", flags->api_key_file, "requests must carry one of the keys in FILE, one per line")
      ->type_name("FILE");
  verb.add_option("--cors-origin", http.cors_origins,
                  "web pages of this origin may read answers, like http://localhost:3000; *: all; may be repeated")
      ->allow_extra_args(false)
      ->type_name("ORIGIN");
  verb.add_flag("--ignore-unknown-fields", flags->server.ignore_unknown,
                "fields of requests that this server does not know are logged once, not refused");
  AddGenerationConfigFlag(verb, &flags->generation_config);
  verb.add_option("--kernel", engine.gemm, "force this matrix product implementation");
  verb.add_option("--threads", flags->threads, "CPU threads (default: all)")->check(CLI::NonNegativeNumber);
  AddChatTemplateFlag(verb, &flags->chat_template);
  AddRuntimeFlags(verb, &flags->runtime);
  verb.footer(
      "Serves OpenAI's API: /v1/models, /v1/completions, /v1/chat/completions, and /health. The address goes to "
      "stdout.\n"
      "Examples:\n"
      "  ecld-device serve model\n"
      "  ecld-device serve model --port 9000 --max-batch 4 --kv-memory 1GB\n"
      "  curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\\n"
      "    -d '{\"model\": \"model\", \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}], \"stream\": "
      "true}'");
  return [flags] { Serve(*flags); };
}

}  // namespace ecld
