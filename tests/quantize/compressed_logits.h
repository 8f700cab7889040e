#pragma once
// A tiny model, and how far a compressed one's logits lie from its own: what the tests of calibrated passes share.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/quantize/model_logits.h"
#include "tests/testing/run_pass.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {

// Passes are run by the tests themselves (RunPass), from "in" to a directory beside it.
class CompressedLogits : public testing::Test {
 protected:
  explicit CompressedLogits(int64_t window_tok) : window_tok_(window_tok) {}
  void Write(const TinyOptions& options) {
    case_ = directory_.path() / std::to_string(cases_++);
    config_ = WriteTinyCheckpoint(case_ / "in", options);
    windows_ = RandomWindows(16, window_tok_, config_.vocab_size);
  }
  double LogitError(const char* name) {
    const at::Tensor expected = ModelLogits(Checkpoint::Open(case_ / "in"), windows_);
    return ((ModelLogits(Checkpoint::Open(case_ / name), windows_) - expected).norm() / expected.norm()).item<double>();
  }
  // Of the input to the model of this name on these windows, nats per token.
  double Divergence(const char* name, const TokenWindows& windows) {
    const auto log_p = [&](const char* model) {
      return at::log_softmax(ModelLogits(Checkpoint::Open(case_ / model), windows).to(at::kDouble), -1);
    };
    const at::Tensor before = log_p("in");
    return (before.exp() * (before - log_p(name))).sum(-1).mean().item<double>();
  }

  int64_t window_tok_;
  TempDir directory_;
  std::filesystem::path case_;  // in directory_, one for each model written
  int cases_ = 0;
  ModelConfig config_;
  TokenWindows windows_;
};

}  // namespace ecld
