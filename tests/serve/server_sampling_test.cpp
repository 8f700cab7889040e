// How tokens are drawn and where answers end: what requests and files say, as clients see it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/serve/server_fixture.h"

namespace ecld {
namespace {

using testing::HasSubstr;

class SamplingTest : public ServerTest {
 protected:
  std::vector<int32_t> Prompt() { return tiny_.tokenizer->Encode("the end of", true); }
  Generation Continued(const GenerateOptions& options) {
    Session session(tiny_.model, tiny_.pool);
    return Generate(session, Prompt(), options);
  }
  std::string TextOf(std::span<const int32_t> tokens) {
    TextStream stream(*tiny_.tokenizer, TextStream::Start::kContinuation);
    std::string text;
    for (int32_t token : tokens) text += stream.Add(token);
    return text + stream.Finish();
  }
  Json Choice(const Json& more) {
    const HttpAnswer answer = Client().Post("/v1/completions", Completion(more));
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.json()["choices"][0];
  }
  std::string Text(const Json& more) { return Choice(more)["text"]; }

  // The first tokens of the greedy answer, the last of which is ASCII and not among those before.
  std::vector<int32_t> UpToANewOne() {
    const std::vector<int32_t> tokens = Continued({.max_tokens = 30}).tokens;
    for (size_t at = tokens.size() - 1; at > 0; --at) {
      const auto before = std::span(tokens).first(at);
      const std::string_view bytes = tiny_.tokenizer->Bytes(tokens[at], true);
      const bool ascii = !bytes.empty() && std::ranges::all_of(bytes, [](char c) { return c > 0; });
      if (ascii && std::ranges::find(before, tokens[at]) == before.end())
        return {tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(at) + 1};
    }
    ADD_FAILURE() << "the greedy answer repeats one token";
    return tokens;
  }
  void NameAsEnd(int32_t id) { WriteJsonFile(tiny_.dir / "generation_config.json", {{"eos_token_id", id}}); }
};

TEST_F(SamplingTest, AnIdOfGenerationConfigEndsAnAnswer) {
  std::vector<int32_t> tokens = UpToANewOne();
  NameAsEnd(tokens.back());
  Start();
  const Json choice = Choice({{"max_tokens", 40}});
  EXPECT_EQ(choice["finish_reason"], "stop");
  EXPECT_EQ(choice["text"], TextOf(std::span(tokens).first(tokens.size() - 1)));
  EXPECT_EQ(Choice({{"max_tokens", 40}, {"ignore_eos", true}})["finish_reason"], "length");
}

TEST_F(SamplingTest, ACompletionListsTheIdThatEndsIt) {
  const std::vector<int32_t> tokens = UpToANewOne();
  NameAsEnd(tokens.back());
  Start();
  const Json choice = Choice({{"max_tokens", 40}, {"logprobs", 1}, {"echo", true}});
  const Json& logprobs = choice["logprobs"];
  EXPECT_EQ(logprobs["tokens"].size(), Prompt().size() + tokens.size());
  EXPECT_EQ(logprobs["tokens"].back(), std::string(tiny_.tokenizer->Bytes(tokens.back(), false)));
  // A client that scores the prompt asks for one token more and drops it, whatever it is.
  Json prompt = Prompt();
  for (int32_t token : std::span(tokens).first(tokens.size() - 1)) prompt.push_back(token);
  const Json scored = Choice({{"prompt", prompt}, {"max_tokens", 1}, {"logprobs", 1}, {"echo", true}});
  EXPECT_EQ(scored["logprobs"]["token_logprobs"].size(), prompt.size() + 1);
  EXPECT_EQ(scored["finish_reason"], "stop");
}

TEST_F(SamplingTest, StopIdsOfTheRequest) {
  const std::vector<int32_t> tokens = UpToANewOne();
  Start();
  const Json stop = {tokens.back(), 299};
  const Json choice = Choice({{"max_tokens", 40}, {"stop_token_ids", stop}, {"ignore_eos", true}});
  EXPECT_EQ(choice["finish_reason"], "stop");
  EXPECT_EQ(choice["text"], TextOf(std::span(tokens).first(tokens.size() - 1)));
}

TEST_F(SamplingTest, CutsToOneTokenAreGreedy) {
  Start();
  const std::string greedy = GreedyText("the end of", 8);
  for (const Json& cut : {Json{{"top_k", 1}}, Json{{"min_p", 1}}}) {
    Json more = {{"temperature", 2}, {"seed", 5}};
    EXPECT_NE(Text(more), greedy);
    more.update(cut);
    EXPECT_EQ(Text(more), greedy) << cut;
  }
}

TEST_F(SamplingTest, PenaltiesAreThoseOfTheSampler) {
  Start();
  const auto expected = [&](const SamplerOptions& sampler) {
    return TextOf(Continued({.max_tokens = 24, .sampler = sampler}).tokens);
  };
  const auto text = [&](Json more) {
    more["max_tokens"] = 24;
    return Text(more);
  };
  const std::string greedy = expected({});
  EXPECT_EQ(text({{"repetition_penalty", 3}}), expected({.repetition_penalty = 3}));
  EXPECT_EQ(text({{"frequency_penalty", 2}}), expected({.frequency_penalty = 2}));
  EXPECT_EQ(text({{"presence_penalty", 2}}), expected({.presence_penalty = 2}));
  EXPECT_NE(text({{"repetition_penalty", 3}}), greedy);
  EXPECT_NE(text({{"frequency_penalty", 2}}), greedy);
  const std::string letter(tiny_.tokenizer->Bytes(50, false));
  EXPECT_EQ(Text({{"logit_bias", {{"50", 100}}}, {"max_tokens", 3}}), letter + letter + letter);
}

TEST_F(SamplingTest, TheServersDefaultsHoldWhereARequestIsSilent) {
  Start({.sampling = {.temperature = 2, .top_k = 1}});
  const std::string greedy = GreedyText("the end of", 8);
  Json silent = Completion();
  silent.erase("temperature");
  const auto text = [&](const Json& more) {
    Json body = silent;
    body.update(more);
    return Client().Post("/v1/completions", body).json()["choices"][0]["text"];
  };
  EXPECT_EQ(text(Json::object()), greedy);
  EXPECT_NE(text({{"top_k", 0}, {"seed", 5}}), greedy);
  EXPECT_EQ(text({{"top_k", 0}, {"seed", 5}, {"temperature", 0}}), greedy);
}

TEST_F(SamplingTest, ManyStopStrings) {
  Start();
  const std::string whole = GreedyText("the end of", 40);
  const size_t at = whole.find_first_of("abcdefghijklmnopqrstuvwxyz", 7);
  ASSERT_NE(at, std::string::npos) << whole;
  std::vector<std::string> stops;
  for (int i = 0; i < 50; ++i) stops.push_back("no such text " + std::to_string(i));
  stops.push_back(whole.substr(at, 1));
  EXPECT_EQ(Text({{"max_tokens", 40}, {"stop", stops}}), whole.substr(0, whole.find(stops.back())));
}

TEST_F(SamplingTest, WhatIsIgnoredIsSaidOnce) {
  testing::internal::CaptureStderr();
  Start({.ignore_unknown = true});
  HttpClient client = Client();
  const Json tools = {{{"type", "function"}, {"function", {{"name", "f"}}}}};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.Post("/v1/completions", Completion({{"keep\nalive", "5m"}})).status, 200);
    EXPECT_EQ(client.Post("/v1/chat/completions", Chat({{"tools", tools}})).status, 200);
  }
  const std::string log = testing::internal::GetCapturedStderr();
  for (const char* line : {R"(the parameter "keep\nalive" of requests is not known and is ignored)",
                           "the chat template of this model makes nothing of tools"}) {
    EXPECT_THAT(log, HasSubstr(line));
    EXPECT_EQ(log.find(line), log.rfind(line)) << "once";
  }
}

}  // namespace
}  // namespace ecld
