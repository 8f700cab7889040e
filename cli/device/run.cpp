#include <unistd.h>

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>

#include "checkpoint/generation_config.h"
#include "checkpoint/tokenizer/chat_template.h"
#include "checkpoint/tokenizer/text_stream.h"
#include "checkpoint/tokenizer/tokenizer.h"
#include "cli/device/output.h"
#include "cli/device/runtime_flags.h"
#include "cli/device/sampling_flags.h"
#include "cli/device/verbs.h"
#include "core/document.h"
#include "core/error.h"
#include "core/log.h"
#include "core/text_encoding.h"
#include "runtime/generate.h"

namespace ecld {
namespace {

constexpr DocumentKind kGenerationDocument{"ecld.generation", "1.0.0"};

struct Flags {
  std::string model, prompt, system, json, kernel, chat_template;
  bool plain = false, interactive = false;
  int64_t max_tokens = 256;
  int threads = 0;
  RuntimeOptions runtime{.precision = Precision::kFast};
  DeviceFlags device;
  SamplingFlags sampling;
};

// A checkpoint that talks: text in, text out. Remembers what it has run: the next prompt costs what is new in it.
class Speaker {
 public:
  explicit Speaker(const Flags& flags)
      : flags_(flags),
        machine_(OpenDevice(flags.device, flags.runtime, flags.kernel)),
        model_(Checkpoint::Open(flags.model), machine_ ? RuntimeOptions{} : flags.runtime),
        tokenizer_(Tokenizer::Open(flags.model)),
        pool_(flags.threads),
        sampler_(flags.sampling.Options(flags.model)),
        end_ids_(EndIds(flags.model, model_.config(), tokenizer_->eos())) {
    if (!flags.plain) template_ = ChatTemplate::Open(flags.model, flags.chat_template);
    if (const auto problem = template_ ? template_->problem() : std::nullopt)
      throw Error("", *problem + "; --plain continues a text without one");
    if (machine_) {
      runner_ = std::make_unique<GpuDecoder>(model_, std::move(machine_), flags.device.Options(flags.runtime), pool_);
    } else {
      session_.emplace(model_, pool_, flags.kernel);
      cache_.emplace(model_);
      runner_ = std::make_unique<SessionRunner>(*session_, *cache_);
    }
  }

  bool chats() const { return template_.has_value(); }

  // Answers a conversation, or continues a plain text. Streams to stdout when stream is set.
  Json Answer(const Json& messages, bool stream) {
    const std::string prompt =
        template_ ? template_->Apply(messages, true) : messages.back().at("content").get<std::string>();
    const std::vector<int32_t> ids = tokenizer_->Encode(prompt, !template_);
    const size_t known = Recall(ids);
    std::string text;
    const auto say = [&](const std::string& part) {
      text += part;
      if (!stream) return;
      std::fwrite(part.data(), 1, part.size(), stdout);
      std::fflush(stdout);
    };
    TextStream decoder(*tokenizer_, template_ ? TextStream::Start::kText : TextStream::Start::kContinuation);
    const Generation generation =
        Generate(*runner_, std::span(ids).subspan(known), Options(ids.size()), [&](int32_t token) {
          say(decoder.Add(token));
          return true;
        });
    say(decoder.Finish());
    held_ = ids;
    held_.insert(held_.end(), generation.tokens.begin(), generation.tokens.end());
    held_.resize(static_cast<size_t>(runner_->length()));  // the last token chosen was not run
    return Describe(generation, ids.size(), known, text);
  }

 private:
  // Keeps of the cache what the prompt begins with, and returns how many tokens that is. The last one is run again:
  // its logits are needed. Where its length asks for another rotation than a short text has, all of it is.
  size_t Recall(const std::vector<int32_t>& ids) {
    const auto [differs, unused] = std::ranges::mismatch(ids, held_);
    size_t known = std::min(static_cast<size_t>(differs - ids.begin()), ids.empty() ? 0 : ids.size() - 1);
    const ModelConfig& config = model_.config();
    if (RopeLength(config, std::max(std::ssize(ids), std::ssize(held_))) != RopeLength(config, 1)) known = 0;
    held_.resize(known);
    runner_->Truncate(static_cast<int64_t>(known));
    return known;
  }

  GenerateOptions Options(size_t prompt_tok) const {
    GenerateOptions options;
    options.sampler = sampler_;
    options.stop_ids = end_ids_;
    options.held = held_;
    const int64_t positions = runner_->MostTokens(), room = positions - static_cast<int64_t>(prompt_tok);
    const bool less = positions < LongestText(model_.config());
    if (room < 1)
      Fail(flags_.model, "the prompt has {} tokens, the model has {} positions{}", prompt_tok, positions,
           less ? " that there is room for; --context N makes more" : "");
    options.max_tokens = std::min(flags_.max_tokens, room);
    if (options.max_tokens < flags_.max_tokens)
      LogWarning("the model has room for only {} more tokens{}", room, less ? "; --context N makes more" : "");
    return options;
  }

  static Json Describe(const Generation& generation, size_t prompt_tok, size_t known, const std::string& text) {
    constexpr const char* kEnds[] = {"stop", "max_tokens", "caller"};
    const auto tokens = static_cast<int64_t>(generation.tokens.size());
    LogInfo("{} prompt tokens ({} of them run) in {:.0f} ms, {} tokens in {:.0f} ms", prompt_tok, prompt_tok - known,
            generation.prefill_ms, tokens, generation.decode_ms);
    return NewDocument(kGenerationDocument, {{"text", text},
                                             {"tokens", generation.tokens},
                                             {"end", kEnds[static_cast<int>(generation.end)]},
                                             {"prompt_tok", prompt_tok},
                                             {"prefill_ms", generation.prefill_ms},
                                             {"decode_ms", generation.decode_ms}});
  }

  const Flags& flags_;
  std::unique_ptr<StepMachine> machine_;  // null: the processor; given to the runner
  RuntimeModel model_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<ChatTemplate> template_;
  ThreadPool pool_;
  std::optional<Session> session_;
  std::optional<KvCache> cache_;
  SamplerOptions sampler_;
  std::vector<int64_t> end_ids_;
  std::unique_ptr<TokenRunner> runner_;
  std::vector<int32_t> held_;  // the ids in it
};

Json Opening(const Flags& flags) {
  Json messages = Json::array();
  if (!flags.system.empty()) messages.push_back({{"role", "system"}, {"content", flags.system}});
  return messages;
}

// Line by line from stdin, until its end or /exit.
void Converse(Speaker& speaker, const Flags& flags) {
  Json messages = Opening(flags);
  std::string line;
  while (fmt::print(stderr, "> "), std::getline(std::cin, line)) {
    if (line.empty()) continue;
    if (line == "/exit") return;
    if (line == "/clear") {
      messages = Opening(flags);
      continue;
    }
    if (line.starts_with('/')) {
      fmt::print(stderr,
                 "/clear forgets what was said, /exit ends; a line that begins with a space is said as it is\n");
      continue;
    }
    if (!speaker.chats()) messages = Json::array();  // each line is a text of its own
    messages.push_back({{"role", "user"}, {"content", line}});
    const Json answer = speaker.Answer(messages, true);
    fmt::print("\n");
    messages.push_back({{"role", "assistant"}, {"content", answer.at("text")}});
  }
}

void Run(Flags flags) {
  flags.runtime.threads = flags.threads;
  Speaker speaker(flags);
  if (!flags.system.empty() && !speaker.chats())
    Fail("--system", "needs a chat template, and {} runs without one", flags.model);
  if (flags.interactive || (flags.prompt.empty() && ::isatty(STDIN_FILENO))) {
    if (!flags.json.empty() || !flags.prompt.empty())
      Fail("--interactive", "has many prompts and answers: --prompt and --json are for one");
    return Converse(speaker, flags);
  }
  if (flags.prompt.empty()) {
    flags.prompt = DecodeText({std::istreambuf_iterator<char>(std::cin), {}}, "stdin");
    if (flags.prompt.empty()) Fail("--prompt", "is empty, and so is stdin");
  }
  flags.prompt = DecodeText(flags.prompt, "--prompt");
  flags.system = DecodeText(flags.system, "--system");
  Json messages = Opening(flags);
  messages.push_back({{"role", "user"}, {"content", flags.prompt}});
  const bool stream = flags.json != "-";
  const Json answer = speaker.Answer(messages, stream);
  if (stream) fmt::print("\n");
  WriteJson(flags.json, answer);
}

}  // namespace

std::function<void()> AddRun(CLI::App& verb) {
  auto flags = std::make_shared<Flags>();
  verb.add_option("model", flags->model, "checkpoint directory")->required()->type_name("DIR");
  verb.add_option("-p,--prompt", flags->prompt, "what to answer (default: stdin as one, on a terminal line by line)");
  verb.add_flag("-i,--interactive", flags->interactive, "a chat, also where stdin is no terminal; /exit ends it");
  verb.add_option("--system", flags->system, "system message of the chat");
  verb.add_flag("--plain", flags->plain, "continue the prompt as it is, without the chat template");
  verb.add_option("-n,--max-tokens", flags->max_tokens, "tokens at most")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  AddSamplingFlags(verb, &flags->sampling);
  verb.add_option("--kernel", flags->kernel, "force this matrix product implementation");
  verb.add_option("--threads", flags->threads, "CPU threads (default: all)")->check(CLI::NonNegativeNumber);
  AddChatTemplateFlag(verb, &flags->chat_template);
  AddRuntimeFlags(verb, &flags->runtime);
  AddDeviceFlags(verb, &flags->device);
  verb.add_option("--context", flags->device.gpu.context_tok, "tokens that a GPU makes room for")
      ->capture_default_str();
  AddJsonFlag(verb, &flags->json);
  verb.footer(
      "Examples:\n"
      "  ecld-device run model --prompt \"Why is the sky blue?\"\n"
      "  ecld-device run model --plain --prompt \"Once upon a time\" --temperature 0.8 --top-p 0.95 --seed 7\n"
      "  ecld-device run model --system \"Answer briefly.\"            a chat, on a terminal\n"
      "  ecld-device run model-w4 --device cuda --prompt \"Why is the sky blue?\"");
  return [flags] { Run(*flags); };
}

}  // namespace ecld
