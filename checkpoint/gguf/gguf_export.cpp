// A checkpoint as one GGUF file for llama.cpp (architectures llama, qwen2, qwen3). Packed matrices become the blocks
// that hold them exactly (gguf_blocks.h), dense ones keep their type, vectors are F32, as llama.cpp wants them.

#include <algorithm>
#include <cstring>
#include <map>

#include "checkpoint/export/format_export.h"
#include "checkpoint/gguf/gguf_blocks.h"
#include "checkpoint/gguf/gguf_config.h"
#include "checkpoint/gguf/gguf_export_config.h"
#include "checkpoint/gguf/gguf_export_tokenizer.h"
#include "checkpoint/gguf/gguf_rope.h"
#include "checkpoint/gguf/gguf_weights.h"
#include "core/error.h"
#include "core/progress.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPieceElements = int64_t{1} << 22;

// The number of general.file_type (llama.cpp's llama_ftype) for a file that is mostly this.
uint32_t FileType(GgmlType type) {
  switch (type) {
    case GgmlType::kF16:
      return 1;
    case GgmlType::kQ4_0:
      return 2;
    case GgmlType::kQ4_1:
      return 3;
    case GgmlType::kQ8_0:
      return 7;
    case GgmlType::kQ5_0:
      return 8;
    case GgmlType::kBF16:
      return 32;
    default:
      return 0;
  }
}

class GgufExport : public FormatExport {
 public:
  explicit GgufExport(const Checkpoint& in) : in_(in), where_((in.directory() / "config.json").string()) {
    PutGgufConfig(in.config(), where_, &file_, &notes_);
    std::map<GgmlType, int64_t> elements;
    for (const TensorSpec& spec : in.table()) {
      types_.push_back(TypeOf(spec));
      if (spec.layer >= 0) elements[types_.back()] += spec.Elements();
    }
    const auto most = std::max_element(elements.begin(), elements.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    file_.Key("general.file_type", FileType(most->first));
    PutGgufTokenizer(in.directory(), in.config(), &file_, &notes_);
    for (size_t i = 0; i < types_.size(); ++i)
      file_.Tensor(GgufTensorName(in.table()[i]), types_[i], in.table()[i].shape);
    rope_ = GgufRopeTensors(in.config());
    for (const GgufRopeTensor& tensor : rope_) file_.Tensor(tensor.name, GgmlType::kF32, {std::ssize(tensor.values)});
    AddTypeNotes();
  }

  std::vector<ExportedTensor> Tensors() const override {
    std::vector<ExportedTensor> tensors;
    for (size_t i = 0; i < types_.size(); ++i)
      tensors.push_back({in_.table()[i].name, StoredFormatName(in_, in_.table()[i]),
                         std::string(InfoOf(types_[i]).name), file_.tensors()[i].bytes});
    return tensors;
  }
  uint64_t FileBytes() const override { return file_.FileBytes(); }
  std::vector<std::string> Notes() const override { return notes_; }
  bool IsDirectory() const override { return false; }

  void Write(const fs::path& staged) const override {
    file_.Create(staged);
    Progress progress("export", std::ssize(types_), "tensors");
    for (size_t i = 0; i < types_.size(); ++i) {
      WriteTensor(i);
      progress.Advance(1, in_.table()[i].name);
    }
    for (size_t i = 0; i < rope_.size(); ++i)
      file_.Write(types_.size() + i, 0, std::as_bytes(std::span(rope_[i].values)));
    file_.Sync();
  }

  void Verify(const fs::path& staged) const override {
    const std::string header = file_.Header();
    const MappedFile bytes(staged);
    if (bytes.bytes().size() != file_.FileBytes() ||
        std::memcmp(bytes.bytes().data(), header.data(), header.size()) != 0)
      Fail(staged.string(), "was written wrongly: its size or metadata are others");
    const GgufFile written(staged);
    const GgufContents& gguf = written.contents();
    RequireSameModel(in_.config(), ReadGgufConfig(gguf, DType::kF32), staged.string());
    CheckGgufTensors(gguf, in_.table());
    Progress progress("verify", std::ssize(types_), "tensors");
    for (const TensorSpec& spec : in_.table()) {
      VerifyTensor(gguf, spec, staged.string());
      progress.Advance(1, spec.name);
    }
  }

 private:
  GgmlType TypeOf(const TensorSpec& spec) const {
    if (!spec.matrix()) return GgmlType::kF32;
    if (spec.format) return FitGgufType(in_.Weight(spec), where_ + ": " + spec.module, pool_);
    const DType dtype = in_.Stored(spec.name).dtype;
    return dtype == DType::kF16 ? GgmlType::kF16 : dtype == DType::kBF16 ? GgmlType::kBF16 : GgmlType::kF32;
  }

  // Where a matrix grows, the user should know.
  void AddTypeNotes() {
    std::map<std::pair<std::string, std::string>, int64_t> grown;
    for (size_t i = 0; i < types_.size(); ++i) {
      const TensorSpec& spec = in_.table()[i];
      if (!spec.format) continue;
      const bool smallest = types_[i] == (spec.format->bits == 8   ? GgmlType::kQ8_0
                                          : spec.format->symmetric ? GgmlType::kQ4_0
                                                                   : GgmlType::kQ4_1);
      if (!smallest || spec.format->bits < 4) ++grown[{spec.format->Name(), std::string(InfoOf(types_[i]).name)}];
    }
    for (const auto& [formats, count] : grown)
      notes_.push_back(fmt::format("{} matrices of {} become {}, the smallest type of GGUF that holds them exactly",
                                   count, formats.first, formats.second));
  }

  // The row of the checkpoint that is row `row` of the file.
  int64_t SourceRow(const TensorSpec& spec, int64_t row) const {
    return IsInterleaved(spec, in_.config()) ? UninterleavedRow(row, in_.config().head_dim) : row;
  }

  // A vector in the order of the file.
  std::vector<float> Vector(const TensorSpec& spec) const {
    const std::vector<float> values = in_.ReadFloats(spec);
    std::vector<float> ordered(values.size());
    for (size_t i = 0; i < values.size(); ++i)
      ordered[i] = values[static_cast<size_t>(SourceRow(spec, static_cast<int64_t>(i)))];
    return ordered;
  }

  void WriteTensor(size_t index) const {
    const TensorSpec& spec = in_.table()[index];
    if (!spec.matrix()) {
      const std::vector<float> values = Vector(spec);
      return file_.Write(index, 0, std::as_bytes(std::span(values)));
    }
    const WeightView weight = in_.Weight(spec);
    const GgmlTypeInfo& info = InfoOf(types_[index]);
    const auto row_bytes = static_cast<size_t>(weight.in_features / info.block_elements * info.block_bytes);
    const int64_t most = std::max<int64_t>(1, kPieceElements / weight.in_features);
    std::vector<std::byte> piece;
    for (int64_t first = 0; first < weight.out_features; first += most) {
      const int64_t count = std::min(most, weight.out_features - first);
      piece.resize(static_cast<size_t>(count) * row_bytes);
      pool_.ParallelFor(count, 16, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row)
          PutRow(weight, SourceRow(spec, first + row), info.type, &piece[static_cast<size_t>(row) * row_bytes]);
      });
      file_.Write(index, static_cast<uint64_t>(first) * row_bytes, piece);
    }
  }

  static void PutRow(const WeightView& weight, int64_t row, GgmlType type, std::byte* out) {
    if (weight.packed()) return EncodeGgufRow(weight, row, type, out);
    std::vector<float> values(static_cast<size_t>(weight.in_features));
    ReadRow(weight, row, values.data());
    FromFloat(type == GgmlType::kF16    ? DType::kF16
              : type == GgmlType::kBF16 ? DType::kBF16
                                        : DType::kF32,
              values.data(), values.size(), out);
  }

  void VerifyTensor(const GgufContents& gguf, const TensorSpec& spec, const std::string& where) const {
    const GgufTensor& tensor = gguf.tensors.find(GgufTensorName(spec))->second;
    const GgmlTypeInfo& info = InfoOf(tensor.type);
    const int64_t columns = spec.shape.back(), blocks = columns / info.block_elements;
    if (!spec.matrix()) {
      std::vector<float> found(static_cast<size_t>(columns));
      Dequantize(tensor.type, tensor.bytes.data(), blocks, found.data());
      return RequireEqualRow(where, spec.name, 0, Vector(spec), found);
    }
    const WeightView weight = in_.Weight(spec);
    pool_.ParallelFor(spec.shape[0], 16, [&](int64_t begin, int64_t end) {
      std::vector<float> expected(static_cast<size_t>(columns)), found(expected.size());
      for (int64_t row = begin; row < end; ++row) {
        ReadRow(weight, SourceRow(spec, row), expected.data());
        Dequantize(tensor.type, tensor.bytes.data() + row * blocks * info.block_bytes, blocks, found.data());
        RequireEqualRow(where, spec.name, row, expected, found);
      }
    });
    MappedFile::DropPages(tensor.bytes);
  }

  const Checkpoint& in_;
  std::string where_;
  mutable ThreadPool pool_;
  mutable GgufWriter file_;
  std::vector<GgmlType> types_;  // of the table's rows
  std::vector<GgufRopeTensor> rope_;
  std::vector<std::string> notes_;
};

}  // namespace

std::unique_ptr<FormatExport> MakeGgufExport(const Checkpoint& in) { return std::make_unique<GgufExport>(in); }

}  // namespace ecld
