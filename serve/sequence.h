#pragma once
// One text being continued: what the engine runs next for it, and what comes out of the logits. Holds the KV cache,
// the sampler, and the text that is not yet certain. It runs nothing itself.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/tokenizer/text_stream.h"
#include "runtime/sampler.h"
#include "runtime/session.h"
#include "serve/stop_strings.h"

namespace ecld {

struct SequenceRequest {
  std::vector<int32_t> prompt;  // at least one id, all within the model's vocabulary
  int64_t max_tokens = 16;      // 0: only the prompt is run
  SamplerOptions sampler;
  std::vector<std::string> stop;
  std::vector<int64_t> stop_ids;                               // beside the model's own
  bool ignore_eos = false;                                     // the model's own do not end it
  TextStream::Start start = TextStream::Start::kContinuation;  // of the answer
  std::optional<int64_t> top_logprobs;  // report each token's log-probability, and this many of the most likely
  bool score_prompt = false;            // report those of the prompt too
  bool report_end = false;              // report the id that ends the answer too

  // Tokens in the cache at the end: the last one chosen is not run.
  int64_t Positions() const;
};

// Natural logarithms of probabilities of the model itself: before temperature and top_p.
struct TokenChance {
  int32_t id = 0;
  double logprob = 0;
};
struct TokenReport {
  int32_t id = 0;
  std::optional<double> logprob;  // none for the first token of a prompt
  std::vector<TokenChance> top;   // most likely first
};

enum class Finish { kStop, kLength, kShutdown, kFailed };

// What happened to a sequence in one step. Text is whole characters; a report comes together with the first text of
// its token, and tokens whose text was cut by a stop string have none.
struct SequenceUpdate {
  std::string text;
  std::vector<TokenReport> prompt_reports;  // with the first update of a sequence that has score_prompt
  std::vector<TokenReport> reports;
  std::optional<Finish> finish;            // this update is the last
  std::string error;                       // why, with kFailed
  int64_t prompt_tok = 0, answer_tok = 0;  // so far; the id that ended the answer is not counted
};

class Sequence {
 public:
  // THROWS Error when the sampler's options are out of range. stop_ids, as all else given, must outlive this.
  Sequence(SequenceRequest request, const RuntimeModel& model, const Tokenizer& tokenizer,
           std::span<const int64_t> stop_ids);

  KvCache& cache() { return cache_; }
  const SequenceRequest& request() const { return request_; }

  // Room in the cache for so many more tokens, and some to spare, but never for more than Positions().
  void MakeRoom(int64_t tokens);
  // What to run next: of the prompt at most limit tokens, after it the last token chosen.
  std::span<const int32_t> NextTokens(int64_t limit) const;
  bool prefilling() const { return cache_.length() < PromptLength(); }
  int64_t PromptLength() const { return static_cast<int64_t>(request_.prompt.size()); }

  // logits [vocab_size] that predict prompt[position]. Called for all positions from 1 on, in order.
  void ScorePrompt(int64_t position, std::span<const float> logits);
  // The prompt has been run, and the last token chosen; logits [vocab_size] predict the next one. With max_tokens 0
  // the logits are not looked at.
  SequenceUpdate Advance(std::span<const float> logits);
  // Ends the sequence where it is; nothing of it is run afterwards.
  SequenceUpdate End(Finish finish, std::string error);

 private:
  struct PendingReport {
    uint64_t begin_B = 0;  // where its text starts in the text decoded so far
    TokenReport report;
  };
  TokenReport Report(int32_t token, std::span<const float> logits);
  SequenceUpdate NewUpdate();
  std::optional<Finish> Choose(std::span<const float> logits, std::string* text);
  void ReleaseReports(SequenceUpdate* update);
  bool Ends(int32_t token) const;

  SequenceRequest request_;
  std::span<const int64_t> stop_ids_;
  KvCache cache_;
  Sampler sampler_;
  TextStream stream_;
  StopStrings stops_;
  int64_t room_ = 0;  // tokens that the cache has room for
  int32_t last_token_ = 0;
  int64_t answer_tok_ = 0;
  uint64_t decoded_B_ = 0, released_B_ = 0;
  std::vector<TokenReport> prompt_reports_;
  std::deque<PendingReport> pending_;
  std::vector<int32_t> order_;  // reused by Report
};

}  // namespace ecld
