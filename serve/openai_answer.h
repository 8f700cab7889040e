#pragma once
// What the engine says about a request, in the shapes of OpenAI's API: one JSON object at the end, or server-sent
// events as it comes. One Answer belongs to one request and collects all of its choices; not thread-safe.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tokenizer/tokenizer.h"
#include "serve/openai_request.h"
#include "serve/sequence.h"

namespace ecld {

class Answer {
 public:
  struct Choice {
    std::string echo;               // the prompt, in front of a completion's text
    int64_t hidden_characters = 0;  // which the tokenizer put before it: they are in the tokens, not in the text
  };

  // id: "cmpl-..."; created: seconds since 1970. tokenizer must outlive this.
  Answer(ApiRequest request, std::string id, int64_t created, const std::vector<Choice>& choices,
         const Tokenizer& tokenizer);

  // Takes one update of a choice. Returns the events to send now (streams only, "" otherwise).
  std::string Add(size_t choice, SequenceUpdate update);
  bool complete() const { return unfinished_ == 0; }

  // The whole answer. REQUIRES: complete() and all ended with kStop or kLength.
  Json Whole() const;
  // The last events of a stream that ended well: usage where asked for, and [DONE].
  std::string LastEvents() const;
  // The event that ends a stream which did not.
  static std::string ErrorEvent(const std::string& message, const ApiError::Detail& detail);

  static int64_t Characters(std::string_view utf8);

  int64_t prompt_tok() const;
  int64_t answer_tok() const;
  std::string FinishNames() const;  // "stop", "stop+length"; for the log

 private:
  struct State {
    Choice options;
    std::string text, finish;  // text: of the whole answer; kept only when it is not streamed
    Json logprobs;             // likewise
    int64_t prompt_tok = 0, answer_tok = 0;
    int64_t offset = 0;  // of the next token in the text, in characters; below 0 while they are hidden
    bool started = false;
  };
  Json TokenEntry(const TokenReport& report) const;
  Json Logprobs(State* state, const SequenceUpdate& update) const;
  Json ChoiceJson(size_t index, const std::string& text, Json logprobs, const Json& finish, bool first) const;
  Json Frame(const char* chat_object, const char* completion_object) const;
  Json Usage() const;

  ApiRequest request_;
  std::string id_;
  int64_t created_;
  const Tokenizer* tokenizer_;
  std::vector<State> states_;
  size_t unfinished_;
};

}  // namespace ecld
