#include "runtime/gpu_decoder.h"

#include <algorithm>
#include <array>

#include "checkpoint/features.h"
#include "checkpoint/linear_groups.h"
#include "core/error.h"
#include "core/progress.h"
#include "runtime/checks.h"

namespace ecld {

namespace {

void RequireSupported(const ModelConfig& config, const std::string& where) {
  static constexpr std::array kTaught = {Feature::kQueryKeyValueBias, Feature::kOutputBias, Feature::kMlpBias,
                                         Feature::kHeadNorms,         Feature::kWindows,    Feature::kRopeLinear,
                                         Feature::kRopeLlama3};
  const RopeScaling::Kind rope = config.rope_scaling.kind;
  if (rope == RopeScaling::Kind::kYarn || rope == RopeScaling::Kind::kDynamic || rope == RopeScaling::Kind::kLongRope)
    Fail(where, "rope type \"{}\"; on a GPU default, linear and llama3 run", ecld::Name(rope));
  RequireTaught(config, kTaught, where, "the GPU's kernels");
  if (config.head_dim % 2 != 0 || config.head_dim > cuda::kMaxHeadDim)
    Fail(where, "heads of {} elements; the GPU's kernels take even numbers up to {}", config.head_dim,
         cuda::kMaxHeadDim);
}

}  // namespace

GpuDecoder::GpuDecoder(const RuntimeModel& model, std::unique_ptr<StepMachine> machine, const GpuOptions& options,
                       ThreadPool& pool)
    : model_(model), machine_(std::move(machine)), options_(options) {
  CheckOptions();
  RequireSupported(config(), model.checkpoint().directory().string());
  context_tok_ = std::min(options.context_tok, LongestText(config()));
  // A prompt's last rows may stand for no token.
  capacity_ = WholeKeyBlocks(context_tok_ + options.prompt_rows);
  LoadWeights(pool);
  MakeRoom();
  MakeRotations();
  prompt_list_ = machine_->Prepare(Launches(static_cast<int>(options.prompt_rows)));
  decode_list_ = machine_->Prepare(Launches(1));
}

void GpuDecoder::CheckOptions() const {
  if (options_.kv != KvType::kF16 && options_.kv != KvType::kQ8)
    Fail("--kv", "{} is not a cache that the GPU's kernels have; they have f16 and q8", ecld::Name(options_.kv));
  if (options_.type != DType::kF16 && options_.type != DType::kBF16)
    Fail("activations", "{} is not a type of the GPU's products; they take F16 and BF16", ecld::Name(options_.type));
  if (options_.context_tok < 1) Fail("--context", "is {}, must be at least 1", options_.context_tok);
  if (options_.prompt_rows < 1 || options_.prompt_rows > 1024)
    Fail("prompt_rows", "is {}, must be 1 to 1024", options_.prompt_rows);
}

void GpuDecoder::LoadWeights(ThreadPool& pool) {
  DeviceLoader loader(*machine_, pool, model_.checkpoint().directory().string());
  const auto& table = model_.checkpoint().table();
  Progress progress("load", config().num_layers + 1, "layers");
  const std::string embedding = Find(table, Role::kEmbedding).name;
  embedding_ = loader.Load({{model_.embedding(), embedding}});
  head_ = config().tie_embeddings ? embedding_ : loader.Load({{model_.head(), Find(table, Role::kHead).name}});
  final_norm_ = loader.Load(model_.final_norm());
  progress.Advance();
  for (int64_t layer = 0; layer < config().num_layers; ++layer) {
    LoadLayer(loader, layer);
    progress.Advance();
  }
  weight_bytes_ = loader.Bytes();
}

void GpuDecoder::LoadLayer(DeviceLoader& loader, int64_t index) {
  const RuntimeBlock& block = model_.blocks()[static_cast<size_t>(index)];
  const auto load = [&](const LinearGroup& group) {
    std::vector<NamedWeight> weights;
    for (Role role : group.linears)
      weights.push_back({block[role].weight, Find(model_.checkpoint().table(), role, index).name});
    return loader.Load(weights);
  };
  const auto biases = [&](const LinearGroup& group) {
    std::vector<float> all;
    for (Role role : group.linears) all.insert(all.end(), block[role].bias.begin(), block[role].bias.end());
    return loader.Load(all);
  };
  const KvShape shape{options_.kv, config().num_kv_heads, config().head_dim};
  layers_.push_back({.input_norm = loader.Load(block.Norm(Role::kInputNorm)),
                     .mlp_norm = loader.Load(block.Norm(Role::kMlpNorm)),
                     .query_norm = loader.Load(block.Norm(Role::kQueryNorm)),
                     .key_norm = loader.Load(block.Norm(Role::kKeyNorm)),
                     .qkv = load(GroupOf(Role::kQuery)),
                     .output = load(GroupOf(Role::kOutput)),
                     .gate_up = load(GroupOf(Role::kGate)),
                     .down = load(GroupOf(Role::kDown)),
                     .qkv_bias = biases(GroupOf(Role::kQuery)),
                     .output_bias = biases(GroupOf(Role::kOutput)),
                     .gate_up_bias = biases(GroupOf(Role::kGate)),
                     .down_bias = biases(GroupOf(Role::kDown)),
                     .kv = {shape, capacity_, machine_->Allocate(static_cast<uint64_t>(shape.Bytes(capacity_)))}});
}

void GpuDecoder::MakeRoom() {
  const int64_t rows = options_.prompt_rows;
  const int64_t hidden = config().hidden_size, inner = config().intermediate_size, query = config().QueryWidth();
  uint64_t workspace = 0;
  const auto see = [&](const DeviceProduct& product) {
    for (const DeviceMatrix& part : product.parts)
      workspace = std::max(workspace, CudaGemmWorkspace(part.out_features, part.in_features, rows));
  };
  see(head_);
  for (const Layer& layer : layers_)
    for (const DeviceProduct* product : {&layer.qkv, &layer.output, &layer.gate_up, &layer.down}) see(*product);
  workspace_ = machine_->Allocate(workspace);

  at_ = {.hidden = Allocate<float>(rows * hidden),
         .wide = Allocate<float>(rows * std::max(query + 2 * config().KeyWidth(), 2 * inner)),
         .projected = Allocate<float>(rows * hidden),
         .query = Allocate<float>(rows * query),
         .normed = Allocate<uint16_t>(rows * Padded(hidden)),
         .attended = Allocate<uint16_t>(rows * Padded(query)),
         .gated = Allocate<uint16_t>(rows * Padded(inner))};
  logits_ = Allocate<float>(config().vocab_size);
  best_ = Allocate<float>(cuda::kArgmaxMostBlocks);
  best_ids_ = Allocate<int32_t>(cuda::kArgmaxMostBlocks);
  tokens_ = Allocate<int32_t>(rows);
  position_ = Allocate<int32_t>(1);
  counters_ = Allocate<uint32_t>(rows * config().num_heads + 1);  // the last is argmax's
  int64_t parts = 0;
  for (int count : {1, static_cast<int>(rows)}) parts = std::max(parts, AttendPartFloats(Attend(layers_[0], 0, count)));
  parts_ = Allocate<float>(parts);
}

void GpuDecoder::MakeRotations() {
  std::vector<float> cosine, sine;
  const Rope rope = MakeRope(config(), 1);
  for (int64_t position = 0; position < capacity_; ++position) AppendRotation(rope, position, &cosine, &sine);
  for (auto [to, from] : {std::pair{&cosine_, &cosine}, {&sine_, &sine}}) {
    *to = Allocate<float>(static_cast<int64_t>(from->size()));
    machine_->Write(reinterpret_cast<std::byte*>(*to), from->data(), from->size() * sizeof(float));
  }
}

int32_t GpuDecoder::Next(std::span<const int32_t> tokens, Sampler& sampler) {
  const int32_t likely = Append(tokens);
  if (sampler.greedy()) return likely;
  std::vector<float> logits(static_cast<size_t>(config().vocab_size));
  Logits(logits);
  return sampler.Next(logits);
}

int32_t GpuDecoder::Append(std::span<const int32_t> tokens) {
  const std::string where = model_.checkpoint().directory().string();
  const auto count = static_cast<int64_t>(tokens.size());
  if (count == 0) Fail(where, "no tokens to run: the text is empty");
  CheckTokens(model_, tokens, length_);
  if (length_ + count > context_tok_)
    Fail(where, "a text of {} tokens is longer than the {} that there is room for", length_ + count, context_tok_);

  RunPrompt(tokens.first(tokens.size() - 1));
  const int32_t last = tokens.back();
  if (device_length_ != length_ || device_token_ != last) Place({&last, 1}, length_);
  machine_->Run(decode_list_);
  machine_->Read(&device_token_, reinterpret_cast<std::byte*>(tokens_), sizeof(device_token_));
  device_length_ = ++length_;
  if (device_token_ < 0) SayNotFinite();
  return device_token_;
}

// All tokens of a prompt but the last: what matters of them is what they leave in the cache.
void GpuDecoder::RunPrompt(std::span<const int32_t> tokens) {
  while (!tokens.empty()) {
    const size_t count = std::min(tokens.size(), static_cast<size_t>(options_.prompt_rows));
    std::vector<int32_t> rows(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(count));
    rows.resize(static_cast<size_t>(options_.prompt_rows), rows.back());  // what they leave is written over later
    Place(rows, length_);
    machine_->Run(prompt_list_);
    length_ += static_cast<int64_t>(count);
    tokens = tokens.subspan(count);
  }
}

void GpuDecoder::Place(std::span<const int32_t> tokens, int64_t position) {
  const auto first = static_cast<int32_t>(position);
  machine_->Write(reinterpret_cast<std::byte*>(tokens_), tokens.data(), tokens.size_bytes());
  machine_->Write(reinterpret_cast<std::byte*>(position_), &first, sizeof(first));
  device_length_ = -1;
}

void GpuDecoder::Logits(std::span<float> logits) const {
  machine_->Read(logits.data(), reinterpret_cast<const std::byte*>(logits_), logits.size_bytes());
}

void GpuDecoder::SayNotFinite() const {
  std::vector<float> logits(static_cast<size_t>(config().vocab_size));
  Logits(logits);
  FailNotFinite(model_, logits, options_.type == DType::kF16 ? "F16; --activations bf16 has a wider range" : "BF16");
}

uint64_t GpuDecoder::KvBytes() const {
  return layers_.size() * static_cast<uint64_t>(layers_[0].kv.shape.Bytes(capacity_));
}

}  // namespace ecld
