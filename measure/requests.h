#pragma once
// Requests of one shape, run together over a session as a server would: every sequence gets the same number of random
// tokens, prompts in chunks so that activations stay bounded, then one token at a time. What a caller times here is
// the forward pass and the logits of each sequence's last token; choosing tokens is not in it.

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/session.h"

namespace ecld {

// Bytes that the caches of batch sequences of tok tokens take.
int64_t CacheBytes(const RuntimeModel& model, int64_t batch, int64_t tok);

class Requests {
 public:
  // batch sequences of at most max_tok tokens each. The session must outlive this.
  Requests(Session& session, int64_t batch, int64_t max_tok, uint64_t seed);

  int64_t length() const { return length_; }  // tokens that each sequence holds
  // Forgets all but the first length tokens of each sequence. REQUIRES: 0 <= length <= length().
  void Rewind(int64_t length);

  int64_t KvBytes() const;  // memory of all caches

  // Appends count tokens to every sequence and computes the logits after the last. REQUIRES: they fit max_tok.
  void Prefill(int64_t count);
  void Step() { Prefill(1); }

 private:
  void Append(int64_t count, int64_t text_tok);

  Session& session_;
  int64_t length_ = 0;
  std::vector<KvCache> caches_;
  std::vector<int32_t> tokens_;              // [max_tok], the same for every sequence
  std::vector<float> last_hidden_, logits_;  // [batch, hidden_size], [batch, vocab_size]
};

}  // namespace ecld
