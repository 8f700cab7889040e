// A whole model on the GPU of this machine beside the processor, along the text that the processor writes.
//
// ECLD_GPU_MODEL names a packed checkpoint to do the same with, such as SmolLM2-135M at 4 bits.

#include "runtime/gpu_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "checkpoint/tokenizer/tokenizer.h"
#include "tests/runtime/tiny_model.h"
#include "tests/testing/gpu_test.h"
#include "tests/testing/near.h"
#include "tests/testing/packed_checkpoint.h"

namespace ecld {
namespace {

class GpuDecoding : public GpuTest {
 protected:
  struct Agreement {
    int64_t compared = 0, same = 0, close = 0;  // close: two tokens are nearly as likely, either may be chosen
  };

  // The processor continues a prompt greedily; the GPU is given its tokens and says each time what it would choose.
  Agreement Along(const std::filesystem::path& directory, std::vector<int32_t> prompt, int64_t steps, KvType kv) {
    constexpr float kClose = 0.05f;
    const RuntimeModel model(Checkpoint::Open(directory), {.kv = kv});
    ThreadPool pool;
    Session session(model, pool);
    KvCache cache(model);
    GpuDecoder decoder(model, OpenCudaMachine(), {.kv = kv, .context_tok = 1024}, pool);
    Agreement agreement;
    std::vector<float> logits(static_cast<size_t>(model.config().vocab_size));
    for (int64_t step = 0; step < steps; ++step) {
      const auto hidden = session.Forward({{&cache, prompt}});
      session.Logits(hidden.last(static_cast<size_t>(model.config().hidden_size)), logits);
      const auto best = std::ranges::max_element(logits);
      const auto token = static_cast<int32_t>(best - logits.begin());
      const float largest = std::exchange(*best, -HUGE_VALF);
      const bool close = largest - *std::ranges::max_element(logits) < kClose;
      const bool same = decoder.Append(prompt) == token;
      ++(close ? agreement.close : agreement.compared);
      agreement.same += same && !close;
      EXPECT_TRUE(same || close) << "step " << step;
      prompt = {token};
    }
    return agreement;
  }
};

TEST_F(GpuDecoding, ChoosesWhatTheProcessorChooses) {
  for (Family family : {Family::kLlama, Family::kQwen2, Family::kQwen3, Family::kMistral})
    for (int bits : {4, 8})
      for (KvType kv : {KvType::kF16, KvType::kQ8}) {
        SCOPED_TRACE(fmt::format("{} W{} {}", Name(family), bits, Name(kv)));
        TempDir dir;
        WritePackedCheckpoint(
            dir.path(), PackedFormat{.bits = bits, .group_size = 32},
            {.family = family, .dtype = DType::kBF16, .sliding_window = family == Family::kMistral ? 40 : 0});
        const Agreement agreement = Along(dir.path(), SomeTokens(100), 64, kv);
        EXPECT_GT(agreement.compared, 0);
      }
}

TEST_F(GpuDecoding, ARealModelWritesTheSameText) {
  const char* model = std::getenv("ECLD_GPU_MODEL");
  if (model == nullptr) GTEST_SKIP() << "ECLD_GPU_MODEL names no packed checkpoint";
  const std::vector<int32_t> prompt = Tokenizer::Open(model)->Encode("Once upon a time, there was a", true);
  for (KvType kv : {KvType::kF16, KvType::kQ8}) {
    const Agreement agreement = Along(model, prompt, 256, kv);
    fmt::print("kv {}: {} of {} steps agree; {} more where two tokens are nearly as likely\n", Name(kv), agreement.same,
               agreement.compared, agreement.close);
    EXPECT_GT(agreement.compared, 128);
  }
}

}  // namespace
}  // namespace ecld
