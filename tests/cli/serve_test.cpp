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

TEST_F(Talk, AServerOnANameThatPagesMayRead) {
  Program server({"ecld-device", "serve", Path("model"), "--port", "0", "--host", "localhost", "--cors-origin",
                  "http://page:1", "--cors-origin", "http://page:2", "--ignore-unknown-fields"});
  HttpClient client(AwaitPort(server));
  EXPECT_THAT(server.Out(), testing::StartsWith("http://localhost:"));
  const HttpAnswer answer =
      client.Ask("POST", "/v1/completions", R"({"model": "model", "prompt": "a", "max_tokens": 2, "odd": 1})",
                 "Origin: http://page:2\r\n");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.Header("Access-Control-Allow-Origin"), "http://page:2");
  server.Signal(SIGTERM);
  EXPECT_THAT(server.Wait().err, HasSubstr("the parameter \"odd\" of requests is not known and is ignored"));
}

// The file's author wants another way of drawing than the programs' own.
TEST_F(Talk, GenerationConfigSaysHowToDrawAndWhereToEnd) {
  const std::vector<std::string> prompt = {"--prompt", "the end", "--seed", "3"};
  const auto run = [&](std::vector<std::string> more) {
    more.insert(more.begin(), prompt.begin(), prompt.end());
    const Outcome outcome = Run(more);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome;
  };
  const std::string greedy = run({}).out, drawn = run({"--temperature", "3"}).out;
  ASSERT_NE(greedy, drawn);
  WriteJsonFile(dir_ / "model/generation_config.json", {{"do_sample", true}, {"temperature", 3}});
  EXPECT_EQ(run({}).out, drawn);
  EXPECT_THAT(run({}).err, HasSubstr("as generation_config.json says: temperature 3"));
  EXPECT_EQ(run({"--temperature", "0"}).out, greedy);
  EXPECT_EQ(run({"--top-k", "1"}).out, greedy);
  EXPECT_EQ(run({"--min-p", "1"}).out, greedy);
  EXPECT_EQ(run({"--generation-config", "none"}).out, greedy);
  // Below 1 and below 0 they ask for repetition.
  EXPECT_NE(run({"--temperature", "0", "--repetition-penalty", "0.05"}).out, greedy);
  EXPECT_NE(run({"--temperature", "0", "--frequency-penalty", "-50"}).out, greedy);
  EXPECT_NE(run({"--temperature", "0", "--presence-penalty", "-50"}).out, greedy);

  WriteJsonFile(dir_ / "model/generation_config.json", {{"num_beams", 4}});
  const Outcome beams = Run({"--prompt", "hi"});
  EXPECT_EQ(beams.status, 1);
  EXPECT_THAT(beams.err, HasSubstr("num_beams: is 4, which this program does not do; --generation-config none"));
  EXPECT_THAT(Run({"--prompt", "hi", "--generation-config", "none", "--logit-bias", "x=1"}).err,
              HasSubstr("--logit-bias: \"x=1\" is not a token id"));

  const Json tokens = Json::parse(Run({"--prompt", "hi", "--generation-config", "none", "--json", "-"}).out)["tokens"];
  size_t at = 1;
  while (std::find(tokens.begin(), tokens.begin() + static_cast<long>(at), tokens[at]) !=
         tokens.begin() + static_cast<long>(at))
    ++at;
  WriteJsonFile(dir_ / "model/generation_config.json", {{"eos_token_id", {2, tokens[at]}}});
  const Outcome ended = Run({"--prompt", "hi", "--json", "-"});
  const Json answer = Json::parse(ended.out);
  EXPECT_EQ(answer["end"], "stop");
  EXPECT_EQ(answer["tokens"].size(), at);
  EXPECT_THAT(ended.err, HasSubstr("each of them ends one"));
  const std::string bias = tokens[0].dump() + "=-100";
  EXPECT_NE(Json::parse(Run({"--prompt", "hi", "--json", "-", "--logit-bias", bias}).out)["tokens"][0], tokens[0]);
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
  EXPECT_THAT(message({"--host", "no.such.name.invalid"}), HasSubstr("is not an address, and no name that is known"));
  EXPECT_THAT(message({"--cors-origin", "page"}), HasSubstr("\"page\" is not an origin"));
  EXPECT_THAT(message({"--kv-memory", "1B"}), HasSubstr("but 32 tokens of this model need"));
  EXPECT_THAT(message({"--api-key-file", WithInput("\n")}), HasSubstr("holds no key"));
}

}  // namespace
}  // namespace ecld
