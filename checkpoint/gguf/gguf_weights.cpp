#include "checkpoint/gguf/gguf_weights.h"

#include <algorithm>
#include <cassert>
#include <set>

#include "checkpoint/gguf/gguf_rope.h"
#include "core/error.h"

namespace ecld {
namespace {

constexpr int64_t kPieceElements = int64_t{1} << 22;  // 16 MiB of floats

std::string_view PartName(Role role) {
  switch (role) {
    case Role::kEmbedding:
      return "token_embd";
    case Role::kFinalNorm:
      return "output_norm";
    case Role::kHead:
      return "output";
    case Role::kInputNorm:
      return "attn_norm";
    case Role::kMlpNorm:
      return "ffn_norm";
    case Role::kAttentionOutNorm:
      return "post_attention_norm";
    case Role::kMlpOutNorm:
      return "post_ffw_norm";
    case Role::kQuery:
      return "attn_q";
    case Role::kKey:
      return "attn_k";
    case Role::kValue:
      return "attn_v";
    case Role::kOutput:
      return "attn_output";
    case Role::kQueryNorm:
      return "attn_q_norm";
    case Role::kKeyNorm:
      return "attn_k_norm";
    case Role::kGate:
      return "ffn_gate";
    case Role::kUp:
      return "ffn_up";
    case Role::kDown:
      return "ffn_down";
  }
  return "";
}

// "blk.7." of "blk.7.attn_q.weight"; empty for other names.
std::string_view BlockOf(std::string_view name) {
  return name.starts_with("blk.") ? name.substr(0, std::min(name.find('.', 4) + 1, name.size())) : "";
}

// Tensors that no logit depends on: rotary frequencies that are computed anyway, towers for images, and blocks that
// predict further tokens, which are told by the projection in front of them.
class Unneeded {
 public:
  Unneeded(const GgufContents& gguf, const std::set<std::string, std::less<>>& needed) {
    std::set<std::string_view> needed_blocks;
    for (const std::string& name : needed) needed_blocks.insert(BlockOf(name));
    for (const auto& [name, tensor] : gguf.tensors)
      if (name.find(".nextn.") != std::string::npos && !needed_blocks.contains(BlockOf(name)))
        blocks_.insert(BlockOf(name));
  }

  bool Contains(std::string_view name) const {
    const std::string_view block = BlockOf(name), rest = name.substr(block.size());
    if (block.empty()) return name.starts_with("v.") || name.starts_with("mm.") || name.starts_with("nextn.");
    return blocks_.contains(block) || rest.starts_with("nextn.") || rest.starts_with("attn_rot_embd");
  }

 private:
  std::set<std::string_view> blocks_;
};

// Dequantizes rows [first, first + count) of a tensor into out[count, columns].
void ReadRows(const GgufTensor& tensor, int64_t columns, int64_t first, int64_t count, ThreadPool& pool, float* out) {
  const GgmlTypeInfo& info = InfoOf(tensor.type);
  int64_t row_blocks = columns / info.block_elements;
  pool.ParallelFor(count, std::max<int64_t>(1, 65536 / columns), [&](int64_t begin, int64_t end) {
    const std::byte* blocks = tensor.bytes.data() + (first + begin) * row_blocks * info.block_bytes;
    Dequantize(tensor.type, blocks, (end - begin) * row_blocks, out + begin * columns);
  });
}

}  // namespace

std::string GgufTensorName(const TensorSpec& spec) {
  std::string name = spec.layer >= 0 ? fmt::format("blk.{}.", spec.layer) : "";
  return name + std::string(PartName(spec.role)) + (spec.bias ? ".bias" : ".weight");
}

std::vector<std::string> CheckGgufTensors(const GgufContents& gguf, const std::vector<TensorSpec>& table) {
  std::set<std::string, std::less<>> expected;
  for (const TensorSpec& spec : table) {
    std::string name = GgufTensorName(spec);
    auto found = gguf.tensors.find(name);
    if (found == gguf.tensors.end()) Fail(gguf.where, "has no tensor {}, which becomes {}", name, spec.name);
    if (found->second.shape != spec.shape) {
      Fail(gguf.where, "tensor {} has shape [{}], expected [{}]", name, fmt::join(found->second.shape, ", "),
           fmt::join(spec.shape, ", "));
    }
    expected.insert(name);
  }
  const Unneeded unneeded(gguf, expected);
  std::vector<std::string> left_out;
  for (const auto& [name, tensor] : gguf.tensors) {
    if (expected.contains(name) || IsGgufRopeTensor(name)) continue;
    if (name.ends_with("_scale") || name.ends_with(".scale"))
      Fail(gguf.where, "tensor {} scales weights, which is not supported: without it they would be others", name);
    if (!unneeded.Contains(name)) Fail(gguf.where, "tensor {} has no place in a model of this architecture", name);
    left_out.push_back(name);
  }
  return left_out;
}

bool IsInterleaved(const TensorSpec& spec, const ModelConfig& config) {
  // Qwen files keep the Hugging Face order; llama files (Llama and Mistral) are interleaved.
  bool llama = config.family == Family::kLlama || config.family == Family::kMistral;
  return llama && (spec.role == Role::kQuery || spec.role == Role::kKey);
}

int64_t UninterleavedRow(int64_t row, int64_t head_dim) {
  int64_t head = row / head_dim, pair = row % head_dim / 2, side = row % 2;
  return head * head_dim + side * (head_dim / 2) + pair;
}

void UndoHeadInterleave(std::span<const float> rows, int64_t head_dim, int64_t columns, std::span<float> out) {
  assert(rows.size() == out.size() && std::ssize(rows) % (head_dim * columns) == 0);
  for (int64_t row = 0; row < std::ssize(rows) / columns; ++row)
    std::copy_n(rows.begin() + row * columns, columns, out.begin() + UninterleavedRow(row, head_dim) * columns);
}

void WriteGgufTensor(const GgufContents& gguf, const TensorSpec& spec, CheckpointWriter& writer, ThreadPool& pool) {
  const GgufTensor& tensor = gguf.tensors.find(GgufTensorName(spec))->second;
  const ModelConfig& config = writer.config();
  bool interleaved = IsInterleaved(spec, config);
  int64_t columns = spec.shape.back();
  int64_t rows = spec.matrix() ? spec.shape[0] : 1;
  int64_t unit = interleaved && spec.matrix() ? config.head_dim : 1;  // whole heads are reordered
  int64_t piece_rows = std::min(rows, std::max<int64_t>(1, kPieceElements / columns / unit) * unit);

  std::vector<float> values(static_cast<size_t>(piece_rows * columns)), reordered(interleaved ? values.size() : 0);
  for (int64_t first = 0; first < rows; first += piece_rows) {
    int64_t count = std::min(piece_rows, rows - first);
    ReadRows(tensor, columns, first, count, pool, values.data());
    std::span<const float> piece = std::span(values).first(static_cast<size_t>(count * columns));
    if (interleaved) {
      auto out = std::span(reordered).first(piece.size());
      UndoHeadInterleave(piece, config.head_dim, spec.matrix() ? columns : 1, out);  // a bias: one element per row
      piece = out;
    }
    writer.WriteFloatsPiece(spec, first * columns, piece);
  }
  MappedFile::DropPages(tensor.bytes);
}

}  // namespace ecld
