#pragma once
// A tiny checkpoint opened to run, removed when the test ends; and the few steps that most tests of runtime repeat.

#include <span>
#include <string>
#include <vector>

#include "runtime/session.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {

class TinyModel {
 public:
  explicit TinyModel(const TinyOptions& options = {})
      : config_(WriteTinyCheckpoint(dir_.path(), options)), model_(Checkpoint::Open(dir_.path())) {}

  const RuntimeModel& model() const { return model_; }
  ThreadPool& pool() { return pool_; }
  Session NewSession(const std::string& gemm = "") { return Session(model_, pool_, gemm); }

 private:
  TempDir dir_;
  ModelConfig config_;
  RuntimeModel model_;
  ThreadPool pool_{2};
};

// count ids that do not repeat soon, within the vocabulary of a tiny checkpoint.
inline std::vector<int32_t> SomeTokens(int64_t count) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>((i * 97 + i / 7) % 283));
  return tokens;
}

// Appends tokens to the cache and returns the logits of each, [tokens.size(), vocab_size].
inline std::vector<float> RunTokens(Session& session, KvCache& cache, std::span<const int32_t> tokens) {
  std::vector<float> logits(tokens.size() * static_cast<size_t>(session.model().config().vocab_size));
  session.Logits(session.Forward({{&cache, tokens}}), logits);
  return logits;
}

}  // namespace ecld
