// 8-bit floats ("weight" F8_E4M3 or F8_E5M2 [out, in]) with scales that each element is multiplied by, for blocks,
// outputs or the whole: "weight_scale" or, of the same meaning whatever its name says, "weight_scale_inv". And what
// ECLD stores itself, for weights that only have a matrix folded into them.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "checkpoint/foreign/matrix.h"
#include "kernels/packing/weight_view.h"

namespace ecld {
namespace {

bool IsFloat8(DType dtype) { return dtype == DType::kF8E4M3 || dtype == DType::kF8E5M2; }

// How many rows or columns share a scale, where a side of a matrix is cut into so many parts: a power of two, the last
// part shorter, or else equal parts. 0: neither.
struct Cut {
  int64_t power = 0, equal = 0;

  Cut(int64_t size, int64_t parts) {
    for (int64_t block = 1; block < size && power == 0; block *= 2)
      if ((size + block - 1) / block == parts) power = block;
    if (parts > 0 && size % parts == 0) equal = size / parts;
    if (parts == 1) power = equal;
  }
  bool Open() const { return power > 0 && equal > 0 && power != equal; }
  int64_t Block() const { return power > 0 ? power : equal; }
};

// The block that scales of this shape are for where no config says. THROWS Error: none, or two are possible.
ForeignScheme FindBlock(const ModuleTensors& tensors, std::string_view part, ForeignScheme scheme) {
  const auto& shape = tensors.At(part).shape;
  const int64_t out = tensors.spec().shape[0], in = tensors.spec().shape[1];
  if (tensors.At(part).Elements() == 1) return scheme;
  const bool by_output = shape == std::vector<int64_t>{out};
  const Cut rows(out, by_output || shape.size() == 2 ? shape[0] : 0), columns(in, shape.size() == 2 ? shape[1] : 1);
  scheme.block_outputs = rows.Block();
  scheme.block_inputs = columns.Block();
  if (scheme.block_outputs == 0 || scheme.block_inputs == 0)
    tensors.Wrong(part, fmt::format("has shape {}, which divides [{}, {}] into no blocks that are known",
                                    ShapeText(shape), out, in));
  if (rows.Open() || columns.Open())
    tensors.Wrong(
        part, fmt::format("has shape {}, which may be blocks of {}, smaller at the edges, or of {} x {} of [{}, {}]; "
                          "quantization_config must say which (weight_block_size)",
                          ShapeText(shape), BlockText(scheme), rows.equal > 0 ? rows.equal : rows.power,
                          columns.equal > 0 ? columns.equal : columns.power, out, in));
  return scheme;
}

// The scheme with its block. THROWS Error: scales that are not of it.
ForeignScheme WithBlock(const ModuleTensors& tensors, std::string_view part, const ForeignScheme& scheme) {
  if (scheme.block_is_open) return FindBlock(tensors, part, scheme);
  const auto& shape = tensors.At(part).shape;
  const int64_t out = tensors.spec().shape[0], in = tensors.spec().shape[1];
  auto blocks = [](int64_t size, int64_t block) { return block > 0 ? (size + block - 1) / block : 1; };
  const std::vector<int64_t> expected = {blocks(out, scheme.block_outputs), blocks(in, scheme.block_inputs)};
  const bool one = expected[0] * expected[1] == 1 && tensors.At(part).Elements() == 1;
  if (shape != expected && !one && !(expected[1] == 1 && shape == std::vector<int64_t>{expected[0]}))
    tensors.Wrong(part, fmt::format("has shape {}, but quantization_config says blocks of {} of [{}, {}]",
                                    ShapeText(shape), BlockText(scheme), out, in));
  return scheme;
}

class FloatMatrix : public ForeignMatrix {
 public:
  FloatMatrix(const ModuleTensors& tensors, std::string_view scale, const ForeignScheme& scheme)
      : ForeignMatrix(tensors, WithBlock(tensors, scale, scheme)) {
    weight_ = Take("weight", tensors.At("weight").dtype, {out_, in_});
    TakeScales(scale);
    if (!tensors.Has("weight_zero_point")) return;  // some writers store those of a symmetric grid
    for (const std::byte byte : Take("weight_zero_point").bytes)
      if (byte != std::byte{0}) tensors_.Wrong("weight_zero_point", "is not zero, and 8-bit floats have none");
  }

  void ReadRow(int64_t row, float* values) const override {
    ToFloat(weight_.dtype, weight_.bytes.data() + row * in_, static_cast<size_t>(in_), values);
    const int64_t size = GroupSize();
    for (int64_t group = 0; group < Groups(); ++group) {
      const float scale = grid_.At(row, group);
      for (int64_t i = group * size; i < std::min(in_, (group + 1) * size); ++i) values[i] *= scale;
    }
  }

 private:
  TensorView weight_;
};

class OwnMatrix : public ForeignMatrix {
 public:
  OwnMatrix(const ModuleTensors& tensors, const std::optional<PackedFormat>& format) : ForeignMatrix(tensors, {}) {
    weight_.out_features = out_;
    weight_.in_features = in_;
    if (!format) {
      const TensorView& view = Take("weight", tensors.At("weight").dtype, {out_, in_});
      if (!IsFloat(view.dtype))
        tensors_.Wrong("weight", fmt::format("has type {}, expected a float type", Name(view.dtype)));
      weight_.dtype = view.dtype;
      weight_.data = view.bytes.data();
      return;
    }
    weight_.format = *format;
    weight_.codes = Take("weight_packed", DType::kI32, {out_, format->CodeWords(in_)}).bytes.data();
    Take("weight_shape");
    scheme_.block_inputs = format->group_size;
    TakeScales("weight_scale");
    weight_.scales = grid_.view.bytes.data();
    weight_.scale_dtype = grid_.view.dtype;
    if (!format->symmetric)
      weight_.zero_points =
          Take("weight_zero_point", DType::kI32, {format->ZeroWords(out_), format->Groups(in_)}).bytes.data();
  }

  void Load() override {
    if (weight_.packed()) ForeignMatrix::Load();
  }
  void ReadRow(int64_t row, float* values) const override { ecld::ReadRow(weight_, row, values); }

 private:
  WeightView weight_;
};

}  // namespace

std::string_view FloatScaleOf(const ModuleTensors& tensors) {
  if (!tensors.Has("weight") || !IsFloat8(tensors.At("weight").dtype)) return {};
  constexpr std::array<std::string_view, 2> kParts = {"weight_scale_inv", "weight_scale"};
  for (const std::string_view part : kParts)
    if (tensors.Has(part)) return part;
  return {};
}

std::unique_ptr<ForeignMatrix> MakeFloatMatrix(const ModuleTensors& tensors, const ForeignScheme& scheme) {
  if (!tensors.Has("weight") || !IsFloat8(tensors.At("weight").dtype)) return nullptr;
  const std::string_view scale = FloatScaleOf(tensors);
  if (scale.empty())
    tensors.Wrong("weight", "is of 8-bit floats, and no scale of theirs is there (weight_scale_inv, weight_scale)");
  return std::make_unique<FloatMatrix>(tensors, scale, scheme);
}

std::unique_ptr<ForeignMatrix> MakeOwnMatrix(const ModuleTensors& tensors, const std::optional<PackedFormat>& format) {
  return std::make_unique<OwnMatrix>(tensors, format);
}

}  // namespace ecld
