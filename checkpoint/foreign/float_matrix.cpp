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

// The block that scales of this shape are for: the scheme's, where it has one; else as their number says, else of
// 128 x 128 with smaller ones at the edges, else of equal size.
ForeignScheme WithBlock(const ModuleTensors& tensors, std::string_view part, ForeignScheme scheme) {
  const auto& shape = tensors.At(part).shape;
  const int64_t out = tensors.spec().shape[0], in = tensors.spec().shape[1];
  auto blocks = [](int64_t size, int64_t block) { return block > 0 ? (size + block - 1) / block : 1; };
  const bool matrix = shape.size() == 2;
  auto fits = [&](int64_t outputs, int64_t inputs) {
    return matrix && shape[0] == blocks(out, outputs) && shape[1] == blocks(in, inputs);
  };
  const bool by_output = shape == std::vector<int64_t>{out} || fits(1, 0);
  if (fits(scheme.block_outputs, scheme.block_inputs)) return scheme;
  if (scheme.block_outputs == 1 && scheme.block_inputs == 0 && by_output) return scheme;
  if (scheme.block_outputs > 0 || scheme.block_inputs > 0)
    tensors.Wrong(part, fmt::format("has shape {}, but quantization_config says blocks of {} x {} of [{}, {}]",
                                    ShapeText(shape), scheme.block_outputs, scheme.block_inputs, out, in));
  if (tensors.At(part).Elements() == 1) return scheme;
  if (by_output) {
    scheme.block_outputs = 1;
  } else if (fits(128, 128)) {
    scheme.block_outputs = scheme.block_inputs = 128;
  } else if (matrix && shape[0] > 0 && shape[1] > 0 && out % shape[0] == 0 && in % shape[1] == 0) {
    scheme.block_outputs = out / shape[0];
    scheme.block_inputs = in / shape[1];
  } else {
    tensors.Wrong(part, fmt::format("has shape {}, which divides [{}, {}] into no blocks that are known",
                                    ShapeText(shape), out, in));
  }
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
