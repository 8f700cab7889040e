#pragma once
// What continues one text, on whatever device: it holds the tokens it was given, takes more, and says which comes next.

#include <cstdint>
#include <span>

#include "runtime/sampler.h"
#include "runtime/session.h"

namespace ecld {

class TokenRunner {
 public:
  virtual ~TokenRunner() = default;
  virtual const ModelConfig& config() const = 0;
  virtual int64_t length() const = 0;      // tokens held
  virtual int64_t MostTokens() const = 0;  // that it can hold
  // Forgets all but the first length tokens. REQUIRES: 0 <= length <= length().
  virtual void Truncate(int64_t length) = 0;
  // Appends tokens (at least one) and chooses the one that follows. THROWS Error as Session does.
  virtual int32_t Next(std::span<const int32_t> tokens, Sampler& sampler) = 0;
};

// On the processor. Session and cache must outlive it.
class SessionRunner final : public TokenRunner {
 public:
  SessionRunner(Session& session, KvCache& cache) : session_(session), cache_(cache) {}

  const ModelConfig& config() const override { return session_.model().config(); }
  int64_t length() const override { return cache_.length(); }
  int64_t MostTokens() const override { return LongestText(config()); }
  void Truncate(int64_t length) override { cache_.Truncate(length); }
  int32_t Next(std::span<const int32_t> tokens, Sampler& sampler) override;

 private:
  Session& session_;
  KvCache& cache_;
  std::vector<float> logits_;
};

}  // namespace ecld
