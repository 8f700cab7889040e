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

  int64_t window_tok_;
  TempDir directory_;
  std::filesystem::path case_;  // in directory_, one for each model written
  int cases_ = 0;
  ModelConfig config_;
  TokenWindows windows_;
};

}  // namespace ecld
