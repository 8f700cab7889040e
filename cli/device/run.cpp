#include <unistd.h>

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>

#include "cli/device/output.h"
#include "cli/device/runtime_flags.h"
#include "cli/device/sampling_flags.h"
#include "cli/device/verbs.h"
#include "core/error.h"
#include "core/text_encoding.h"
#include "runtime/speaker.h"

namespace ecld {
namespace {

struct Flags {
  SpeakerOptions speaker{
      .model = {}, .chat_template = {}, .kernel = {}, .runtime = {.precision = Precision::kFast}, .gpu = {}};
  std::string prompt, system, json;
  bool interactive = false;
  int64_t max_tokens = 256;
  DeviceFlags device;
  SamplingFlags sampling;
};

// To stdout as it comes.
void Stream(const std::string& part) {
  std::fwrite(part.data(), 1, part.size(), stdout);
  std::fflush(stdout);
}

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
    const std::string answer = speaker.Answer(messages, flags.max_tokens, Stream).text;
    fmt::print("\n");
    messages.push_back({{"role", "assistant"}, {"content", answer}});
  }
}

void Run(Flags flags) {
  SpeakerOptions& options = flags.speaker;
  options.gpu = flags.device.Options(options.runtime);
  Speaker speaker(options, OpenDevice(flags.device, options.runtime, options.kernel));
  speaker.set_sampler(flags.sampling.Options(options.model));
  if (!flags.system.empty() && !speaker.chats())
    Fail("--system", "needs a chat template, and {} runs without one", options.model);
  if (flags.interactive || (flags.prompt.empty() && ::isatty(STDIN_FILENO))) {
    if (!flags.json.empty() || !flags.prompt.empty())
      Fail("--interactive", "has many prompts and answers: --prompt and --json are for one");
    return Converse(speaker, flags);
  }
  if (flags.prompt.empty()) {
    flags.prompt = DecodeText({std::istreambuf_iterator<char>(std::cin), {}}, "stdin");
    if (flags.prompt.empty()) Fail("--prompt", "is empty, and so is stdin");
  } else {
    flags.prompt = DecodeText(flags.prompt, "--prompt");
  }
  flags.system = DecodeText(flags.system, "--system");
  Json messages = Opening(flags);
  messages.push_back({{"role", "user"}, {"content", flags.prompt}});
  const bool stream = flags.json != "-";
  const Speaker::Said answer = speaker.Answer(
      messages, flags.max_tokens, stream ? Stream : [](const std::string&) {});
  if (stream) fmt::print("\n");
  WriteJson(flags.json, ToJson(answer));
}

}  // namespace

std::function<void()> AddRun(CLI::App& verb) {
  auto flags = std::make_shared<Flags>();
  verb.add_option("model", flags->speaker.model, "checkpoint directory")->required()->type_name("DIR");
  verb.add_option("-p,--prompt", flags->prompt, "what to answer (default: stdin as one, on a terminal line by line)");
  verb.add_flag("-i,--interactive", flags->interactive, "a chat, also where stdin is no terminal; /exit ends it");
  verb.add_option("--system", flags->system, "system message of the chat");
  verb.add_flag("--plain", flags->speaker.plain, "continue the prompt as it is, without the chat template");
  verb.add_option("-n,--max-tokens", flags->max_tokens, "tokens at most")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  AddSamplingFlags(verb, &flags->sampling);
  verb.add_option("--kernel", flags->speaker.kernel, "force this matrix product implementation");
  verb.add_option("--threads", flags->speaker.runtime.threads, "CPU threads (default: all)")
      ->check(CLI::NonNegativeNumber);
  AddChatTemplateFlag(verb, &flags->speaker.chat_template);
  AddRuntimeFlags(verb, &flags->speaker.runtime);
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
