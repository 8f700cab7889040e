#pragma once
// Runs one text on a GPU: the whole step from a token to the next is a list of launches, made once (a CUDA graph),
// which reads from the device's memory which token it is and where it stands. Prompts take several tokens at a time
// through the same kernels. Hidden states and all sums are float32; what products take is rounded to 16 bits, as the
// cache is.
//
//   RuntimeModel model(Checkpoint::Open(directory), {.kv = KvType::kF16});
//   GpuDecoder decoder(model, OpenCudaMachine(), {}, pool);
//   int32_t next = decoder.Append(prompt);                  // the most likely
//   next = decoder.Append({&next, 1});

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/device_weights.h"
#include "runtime/token_runner.h"

namespace ecld {

struct GpuOptions {
  DType type = DType::kF16;    // of what products take: F16, or BF16 for models whose activations overflow it
  KvType kv = KvType::kF16;    // or q8
  int64_t context_tok = 8192;  // that there is room for, at most; what the model has is enough
  int64_t prompt_rows = 64;    // tokens of a prompt that are run at once
};

class GpuDecoder final : public TokenRunner {
 public:
  // Loads the model, which is read once, product by product, and must outlive this. THROWS Error: a matrix whose
  // format the kernels do not take, options they do not have, too little memory.
  GpuDecoder(const RuntimeModel& model, std::unique_ptr<StepMachine> machine, const GpuOptions& options,
             ThreadPool& pool);

  const ModelConfig& config() const override { return model_.config(); }
  int64_t length() const override { return length_; }
  int64_t MostTokens() const override { return context_tok_; }
  void Truncate(int64_t length) override { length_ = length; }
  int32_t Next(std::span<const int32_t> tokens, Sampler& sampler) override;

  // Appends tokens and returns the most likely to follow, the lower id on a tie. THROWS Error: a token id outside the
  // vocabulary, more tokens than there is room for, a logit that is NaN or infinite.
  int32_t Append(std::span<const int32_t> tokens);
  // After the last token appended, [vocab_size].
  void Logits(std::span<float> logits) const;

  std::string MachineName() const { return machine_->Name(); }
  uint64_t WeightBytes() const { return weight_bytes_; }
  uint64_t KvBytes() const;

 private:
  struct Layer {
    const float *input_norm, *mlp_norm, *query_norm, *key_norm;
    DeviceProduct qkv, output, gate_up, down;
    const float *qkv_bias, *output_bias, *gate_up_bias, *down_bias;
    KvView kv;
  };
  // What flows between launches, each [prompt_rows, width].
  struct Activations {
    float *hidden, *wide, *projected, *query;
    uint16_t *normed, *attended, *gated;
  };

  // Elements from row to row of what products take (CudaGemmArgs::x_stride).
  static int64_t Padded(int64_t width) { return (width + 7) / 8 * 8; }

  void CheckOptions() const;
  void LoadWeights(ThreadPool& pool);
  void LoadLayer(DeviceLoader& loader, int64_t index);
  void MakeRoom();
  void MakeRotations();
  std::vector<StepLaunch> Launches(int rows);
  void AddProduct(const DeviceProduct& product, const uint16_t* x, int rows, float* y, std::vector<StepLaunch>* to);
  cuda::NormStep Norm(const float* weight, const float* add, const float* bias, int rows) const;
  cuda::GatherStep Gather(int rows) const;
  cuda::RotateStep Rotate(const Layer& layer, int rows) const;
  cuda::AttendStep Attend(const Layer& layer, int64_t index, int rows) const;
  void RunPrompt(std::span<const int32_t> tokens);
  void Place(std::span<const int32_t> tokens, int64_t position);
  [[noreturn]] void SayNotFinite() const;

  template <class T>
  T* Allocate(int64_t count) {
    return reinterpret_cast<T*>(machine_->Allocate(static_cast<uint64_t>(count) * sizeof(T)));
  }

  const RuntimeModel& model_;
  std::unique_ptr<StepMachine> machine_;
  GpuOptions options_;
  int64_t context_tok_ = 0, capacity_ = 0;
  int64_t length_ = 0;
  int64_t device_length_ = -1;  // the position that the device would run next, with device_token_
  int32_t device_token_ = 0;
  uint64_t weight_bytes_ = 0;

  DeviceProduct embedding_, head_;
  const float* final_norm_ = nullptr;
  std::vector<Layer> layers_;
  Activations at_{};
  float *cosine_ = nullptr, *sine_ = nullptr, *logits_ = nullptr, *parts_ = nullptr, *best_ = nullptr;
  int32_t *tokens_ = nullptr, *position_ = nullptr, *best_ids_ = nullptr;
  uint32_t* counters_ = nullptr;
  std::byte* workspace_ = nullptr;
  int prompt_list_ = 0, decode_list_ = 0;
};

}  // namespace ecld
