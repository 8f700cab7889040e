// A checkpoint in the format of AutoGPTQ, version 1 ("checkpoint_format": "gptq"). For a linear P of b bits in groups
// of g:
//
//   P.qweight  I32 [in * b / 32, out]      codes, packed along in_features, low bits first
//   P.qzeros   I32 [in / g, out * b / 32]  zero points minus one, packed along out_features
//   P.scales   F16 [in / g, out]
//   P.g_idx    I32 [in]                    the group of each input
//
// weight = (code - zero_point) * scale. Symmetric only: what version 1 takes away from a zero point of 0 its readers do
// not agree about. The bits of a stream are those of kernels/packing/FORMAT.md.

#include <algorithm>
#include <cstring>
#include <optional>

#include "checkpoint/export/format_export.h"
#include "checkpoint/export/packed_group.h"
#include "checkpoint/shard_writer.h"
#include "checkpoint/side_files.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "core/threads.h"
#include "kernels/packing/packing.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

using TensorMap = std::map<std::string, TensorView, std::less<>>;

struct GptqLinear {
  std::vector<uint32_t> qweight;
  std::vector<uint32_t> qzeros;
  std::vector<uint16_t> scales;
  std::vector<int32_t> g_idx;
};

std::vector<StoredTensor> PartsOf(const TensorSpec& spec) {
  const PackedFormat& format = *spec.format;
  const int64_t out = spec.shape[0], in = spec.shape[1];
  return {{spec.module + ".qweight", DType::kI32, {format.CodeWords(in), out}},
          {spec.module + ".qzeros", DType::kI32, {format.Groups(in), format.ZeroWords(out)}},
          {spec.module + ".scales", DType::kF16, {format.Groups(in), out}},
          {spec.module + ".g_idx", DType::kI32, {in}}};
}

GptqLinear Transposed(const WeightView& weight, ThreadPool& pool) {
  const PackedFormat& format = weight.format;
  const int64_t out = weight.out_features, in = weight.in_features, groups = format.Groups(in);
  GptqLinear linear;
  linear.qweight.resize(static_cast<size_t>(format.CodeWords(in) * out));
  linear.scales.resize(static_cast<size_t>(groups * out));
  pool.ParallelFor(out, 16, [&](int64_t begin, int64_t end) {
    std::vector<uint8_t> codes(static_cast<size_t>(in));
    for (int64_t row = begin; row < end; ++row) {
      ReadCodes(weight, row, 0, in, codes.data());
      PackBits(format.bits, codes.data(), in, &linear.qweight[static_cast<size_t>(row)], out);
      for (int64_t group = 0; group < groups; ++group)
        linear.scales[static_cast<size_t>(group * out + row)] = ReadGroup(weight, row, group).HalfScale();
    }
  });
  const std::vector<uint8_t> zeros(static_cast<size_t>(out), static_cast<uint8_t>(format.MidCode() - 1));
  const int64_t words = format.ZeroWords(out);
  linear.qzeros.resize(static_cast<size_t>(groups * words));
  for (int64_t group = 0; group < groups; ++group)
    PackBits(format.bits, zeros.data(), out, &linear.qzeros[static_cast<size_t>(group * words)]);
  for (int64_t input = 0; input < in; ++input)
    linear.g_idx.push_back(static_cast<int32_t>(input / format.GroupSize(in)));
  return linear;
}

class GptqExport : public FormatExport {
 public:
  explicit GptqExport(const Checkpoint& in) : in_(in), where_((in.directory() / "config.json").string()) {
    for (const TensorSpec& spec : in.table())
      if (spec.format) Check(spec);
    for (const TensorSpec& spec : in.table()) {
      const bool dense_linear = spec.matrix() && spec.layer >= 0 && !spec.format;
      if (dense_linear)
        Fail(where_ + ": " + spec.module, "is not packed, {} is; GPTQ packs all linears of the blocks or none",
             first_->module);
    }
    for (const TensorSpec& spec : in.table()) {
      if (spec.format) {
        for (StoredTensor& part : PartsOf(spec)) stored_.push_back(std::move(part));
      } else {
        stored_.push_back(in.Stored(spec.name));
      }
    }
  }

  std::vector<ExportedTensor> Tensors() const override {
    std::vector<ExportedTensor> tensors;
    for (const TensorSpec& spec : in_.table()) {
      const std::string format = StoredFormatName(in_, spec);
      uint64_t bytes = 0;
      if (spec.format)
        for (const StoredTensor& part : PartsOf(spec)) bytes += part.Bytes();
      else
        bytes = in_.Stored(spec.name).Bytes();
      tensors.push_back({spec.name, format, spec.format ? "GPTQ" : format, bytes});
    }
    return tensors;
  }
  uint64_t FileBytes() const override { return ShardWriter("", stored_).FileBytes(); }

  void Write(const fs::path& staged) const override {
    ShardWriter shards(staged, stored_);
    shards.Open();
    shards.Allocate();
    Progress progress("export", std::ssize(in_.table()), "tensors");
    for (const TensorSpec& spec : in_.table()) {
      if (spec.format)
        WriteLinear(spec, shards);
      else
        shards.WritePiece(spec.name, 0, in_.Tensor(spec.name).bytes);
      progress.Advance(1, spec.name);
    }
    shards.Sync();
    shards.WriteIndex();
    ModelConfig dense = in_.config();
    dense.quantization.reset();
    Json config = ToJson(dense);
    config["quantization_config"] = QuantizationJson();
    WriteJsonFile(staged / "config.json", config);
    WriteJsonFile(staged / "quantize_config.json", QuantizationJson());
    CopySideFiles(in_.directory(), staged, Weights::kSame);
  }

  void Verify(const fs::path& staged) const override {
    std::vector<SafetensorsFile> shards;
    TensorMap tensors;
    for (const auto& entry : fs::directory_iterator(staged))
      if (entry.path().extension() == ".safetensors") shards.emplace_back(entry.path());
    for (const SafetensorsFile& shard : shards) tensors.insert(shard.tensors().begin(), shard.tensors().end());
    const Json config = ReadJsonFile(staged / "config.json");
    if (!config.contains("quantization_config") || config["quantization_config"] != QuantizationJson())
      Fail((staged / "config.json").string(), "was written wrongly: its quantization_config is another");
    Progress progress("verify", std::ssize(in_.table()), "tensors");
    for (const TensorSpec& spec : in_.table()) {
      if (spec.format)
        VerifyLinear(spec, tensors, staged.string());
      else
        VerifyDense(spec, tensors, staged.string());
      progress.Advance(1, spec.name);
    }
  }

 private:
  // Everything about a packed matrix that the format cannot hold.
  void Check(const TensorSpec& spec) {
    const std::string where = where_ + ": " + spec.module;
    const PackedFormat& format = *spec.format;
    if (spec.role == Role::kEmbedding)
      Fail(where, "is {}; GPTQ packs linears only, so a dense embedding would fit", format.Name());
    if (!format.symmetric)
      Fail(where, "is {}; GPTQ version 1 holds zero points unsafely, so symmetric groups would fit", format.Name());
    if (format.bits == 5 || format.bits == 6)
      Fail(where, "is {}; readers of GPTQ do not agree on how 5 and 6 bits are packed, so 2, 3, 4 or 8 would fit",
           format.Name());
    if (format.Ragged(spec.shape[1]))
      Fail(where, "is {} and has {} inputs, a short last group; a group_size that divides them would fit",
           format.Name(), spec.shape[1]);
    if (spec.shape[0] % 32 != 0 || spec.shape[1] % 32 != 0)
      Fail(where, "has {} outputs and {} inputs; GPTQ packs multiples of 32 of both", spec.shape[0], spec.shape[1]);
    if (!first_) first_ = spec;
    if (format != *first_->format)
      Fail(where, "is {}, but {} is {}; GPTQ has one format for all linears", format.Name(), first_->module,
           first_->format->Name());
    CheckScales(in_.Weight(spec), where);
  }

  void CheckScales(const WeightView& weight, const std::string& where) const {
    pool_.ParallelFor(weight.out_features, 64, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        for (int64_t group = 0; group < weight.format.Groups(weight.in_features); ++group)
          if (const auto problem = ScaleProblem(weight, row, ReadGroup(weight, row, group)); !problem.empty())
            Fail(where, "{}", problem);
    });
  }

  Json QuantizationJson() const {
    const PackedFormat& format = *first_->format;
    const bool head = !in_.config().tie_embeddings && Find(in_.table(), Role::kHead).format;
    return {{"quant_method", "gptq"},
            {"checkpoint_format", "gptq"},
            {"bits", format.bits},
            {"group_size", format.group_size > 0 ? format.group_size : -1},
            {"sym", true},
            {"desc_act", false},
            {"lm_head", head},
            {"pack_dtype", "int32"}};
  }

  void WriteLinear(const TensorSpec& spec, ShardWriter& shards) const {
    const GptqLinear linear = Transposed(in_.Weight(spec), pool_);
    auto write = [&](const char* part, const auto& values) {
      shards.WritePiece(spec.module + part, 0, std::as_bytes(std::span(values)));
    };
    write(".qweight", linear.qweight);
    write(".qzeros", linear.qzeros);
    write(".scales", linear.scales);
    write(".g_idx", linear.g_idx);
  }

  const TensorView& Written(const TensorMap& tensors, const std::string& name, const std::string& where) const {
    const auto found = tensors.find(name);
    if (found == tensors.end()) Fail(where, "was written wrongly: {} is missing", name);
    return found->second;
  }

  void VerifyDense(const TensorSpec& spec, const TensorMap& tensors, const std::string& where) const {
    const TensorView &expected = in_.Tensor(spec.name), &found = Written(tensors, spec.name, where);
    if (expected.dtype != found.dtype || expected.shape != found.shape ||
        !std::equal(expected.bytes.begin(), expected.bytes.end(), found.bytes.begin(), found.bytes.end()))
      Fail(where, "was written wrongly: {} is not what {} holds", spec.name, in_.directory().string());
  }

  // Reads as a reader of the format does: nothing here knows that the zero points and groups are regular.
  void VerifyLinear(const TensorSpec& spec, const TensorMap& tensors, const std::string& where) const {
    const WeightView weight = in_.Weight(spec);
    const int bits = weight.format.bits;
    const int64_t out = weight.out_features, in = weight.in_features;
    auto part = [&](const char* name) { return Written(tensors, spec.module + name, where).bytes.data(); };
    const std::byte *qweight = part(".qweight"), *qzeros = part(".qzeros"), *scales = part(".scales");
    std::vector<int32_t> g_idx(static_cast<size_t>(in));
    std::memcpy(g_idx.data(), part(".g_idx"), g_idx.size() * sizeof(int32_t));
    pool_.ParallelFor(out, 16, [&](int64_t begin, int64_t end) {
      std::vector<uint8_t> codes(static_cast<size_t>(in));
      std::vector<float> expected(codes.size()), found(codes.size());
      for (int64_t row = begin; row < end; ++row) {
        ReadRow(weight, row, expected.data());
        UnpackBits(bits, qweight + row * 4, 0, in, codes.data(), out);
        for (int64_t i = 0; i < in; ++i) {
          const int64_t group = g_idx[static_cast<size_t>(i)];
          uint8_t zero_point;
          UnpackBits(bits, qzeros + group * out * bits / 32 * 4, row, 1, &zero_point);
          float scale;
          ToFloat(DType::kF16, scales + (group * out + row) * 2, 1, &scale);
          found[static_cast<size_t>(i)] = static_cast<float>(codes[static_cast<size_t>(i)] - (zero_point + 1)) * scale;
        }
        RequireEqualRow(where, spec.name, row, expected, found);
      }
    });
  }

  const Checkpoint& in_;
  std::string where_;
  mutable ThreadPool pool_;
  std::optional<TensorSpec> first_;  // of the packed matrices
  std::vector<StoredTensor> stored_;
};

}  // namespace

std::unique_ptr<FormatExport> MakeGptqExport(const Checkpoint& in) { return std::make_unique<GptqExport>(in); }

}  // namespace ecld
