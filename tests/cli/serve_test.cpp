// `run` and `serve` as a user has them: through pipes, and until a signal.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "core/json.h"
#include "tests/cli/program.h"
#include "tests/serve/http_client.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

using testing::HasSubstr;

class Talk : public testing::Test {
 protected:
  Talk() { WriteTinyCheckpoint(dir_ / "model"); }  // it has ids which the tokenizer lacks

  std::string Path(const std::string& name) const { return (dir_ / name).string(); }
  std::string WithInput(const std::string& text) const {
    std::ofstream(dir_ / "input", std::ios::binary) << text;
    return Path("input");
  }
  Outcome Run(std::vector<std::string> flags, const std::string& input = "") const {
    flags.insert(flags.begin(), {"ecld-device", "run", Path("model"), "-n", "12", "--precision", "exact"});
    return Program(flags, {.input = input.empty() ? "/dev/null" : WithInput(input)}).Wait();
  }

  TempDir dir_;
};

TEST_F(Talk, APromptFromStdinIsThePromptOfTheFlag) {
  const Outcome flag = Run({"--prompt", "the end\nof it"}), pipe = Run({}, "the end\nof it");
  ASSERT_EQ(flag.status, 0) << flag.err;
  EXPECT_EQ(pipe.out, flag.out);
  EXPECT_THAT(flag.out, testing::EndsWith("\n"));
}

TEST_F(Talk, ASampledAnswerMayHoldAnyId) {
  for (const char* seed : {"1", "2", "3", "4"}) {
    const Outcome outcome = Run({"--prompt", "a", "--temperature", "5", "--seed", seed});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
  }
}

TEST_F(Talk, AChatGoesOnWhereItWas) {
  const Outcome chat =
      Run({"--interactive", "--system", "be brief"}, "hi\n\nthe end\n/help\n/clear\nhi\n/exit\nnot said\n");
  ASSERT_EQ(chat.status, 0) << chat.err;
  const Outcome first = Run({"--system", "be brief", "--prompt", "hi"});
  ASSERT_EQ(first.status, 0) << first.err;
  EXPECT_THAT(chat.out, testing::StartsWith(first.out));
  EXPECT_THAT(chat.out, testing::EndsWith(first.out)) << "/clear forgets";
  EXPECT_THAT(chat.err, HasSubstr("/exit ends"));
  EXPECT_THAT(chat.err, testing::Not(HasSubstr("not said")));
  // The second turn runs only what is new: its prompt is longer than what was run of it.
  int64_t known_turns = 0;
  for (size_t at = 0; (at = chat.err.find(" prompt tokens (", at)) != std::string::npos; ++at) {
    const size_t begin = chat.err.rfind(' ', at - 1) + 1;
    const int64_t all = std::stoll(chat.err.substr(begin)), run = std::stoll(chat.err.substr(at + 16));
    EXPECT_LE(run, all);
    if (run < all) ++known_turns;
  }
  EXPECT_EQ(known_turns, 2) << chat.err;  // the second turn, and the system message after /clear
}

TEST_F(Talk, WhatDoesNotGoTogetherIsAnError) {
  const Outcome outcome = Run({"--interactive", "--prompt", "hi"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("--interactive: has many prompts and answers"));
}

// The port, once the server listens.
int AwaitPort(const Program& server) {
  for (int i = 0; i < 3000; ++i, std::this_thread::sleep_for(std::chrono::milliseconds(10)))
    if (const std::string out = server.Out(); out.ends_with('\n')) return std::stoi(out.substr(out.rfind(':') + 1));
  ADD_FAILURE() << "no address: " << server.Err();
  return 0;
}

TEST_F(Talk, AServerAnswersUntilASignal) {
  for (int signal : {SIGINT, SIGTERM}) {
    Program server({"ecld-device", "serve", Path("model"), "--port", "0"});
    HttpClient client(AwaitPort(server));
    const HttpAnswer answer =
        client.Post("/v1/completions", {{"model", "model"}, {"prompt", "a secret"}, {"max_tokens", 3}});
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(client.Ask("GET", "/nowhere").status, 404);
    server.Signal(signal);
    const Outcome outcome = server.Wait();
    EXPECT_EQ(outcome.status, 0);
    EXPECT_THAT(outcome.err, HasSubstr("POST /v1/completions 200"));
    EXPECT_THAT(outcome.err, HasSubstr("GET /nowhere 404 unknown_url"));
    EXPECT_THAT(outcome.err, HasSubstr("cache memory"));
    EXPECT_THAT(outcome.err, testing::Not(HasSubstr("secret"))) << "prompts are not logged";
    EXPECT_THAT(outcome.err, testing::Not(HasSubstr("no authentication")));
  }
}

TEST_F(Talk, AServerThatOthersCanReachSaysSo) {
  Program server({"ecld-device", "serve", Path("model"), "--port", "0", "--host", "0.0.0.0"});
  AwaitPort(server);
  server.Signal(SIGTERM);
  EXPECT_THAT(server.Wait().err, HasSubstr("there is no authentication"));
}

TEST_F(Talk, AServerThatCannotStartSaysWhy) {
  const auto message = [&](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"ecld-device", "serve", Path("model"), "--port", "0"});
    const Outcome outcome = RunToEnd(flags);
    EXPECT_EQ(outcome.status, 1) << flags.back();
    return outcome.err;
  };
  EXPECT_THAT(RunToEnd({"ecld-device", "serve", "--help"}).out, HasSubstr("Examples"));
  EXPECT_THAT(message({"--host", "localhost"}), HasSubstr("\"localhost\" is not an address"));
  EXPECT_THAT(message({"--kv-memory", "1B"}), HasSubstr("but 32 tokens of this model need"));
  EXPECT_THAT(message({"--api-key-file", WithInput("\n")}), HasSubstr("holds no key"));
}

}  // namespace
}  // namespace ecld
