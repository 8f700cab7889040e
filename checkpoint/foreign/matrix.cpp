#include "checkpoint/foreign/matrix.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "core/error.h"

namespace ecld {

std::string ShapeText(const std::vector<int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::string BlockText(const ForeignScheme& scheme) {
  const auto side = [](int64_t size) { return size > 0 ? fmt::format("{}", size) : std::string("all"); };
  return fmt::format("{} x {}", side(scheme.block_outputs), side(scheme.block_inputs));
}

const TensorView& ModuleTensors::At(std::string_view part) const {
  const auto found = tensors_->find(NameOf(part));
  if (found == tensors_->end()) Wrong(part, "is missing");
  return found->second;
}

const TensorView& ModuleTensors::At(std::string_view part, DType dtype, const std::vector<int64_t>& shape) const {
  const TensorView& view = At(part);
  if (view.dtype != dtype) Wrong(part, fmt::format("has type {}, expected {}", Name(view.dtype), Name(dtype)));
  if (view.shape != shape)
    Wrong(part, fmt::format("has shape {}, its quantization_config needs {}", ShapeText(view.shape), ShapeText(shape)));
  return view;
}

void ModuleTensors::Wrong(std::string_view part, const std::string& problem) const {
  Fail(where_, "tensor \"{}\" {}", NameOf(part), problem);
}

float ScaleGrid::At(int64_t row, int64_t group) const {
  float value;
  const int64_t index = row / block_outputs * output_stride + group * group_stride;
  ToFloat(view.dtype, view.bytes.data() + static_cast<size_t>(index) * SizeOf(view.dtype), 1, &value);
  return value;
}

ForeignMatrix::ForeignMatrix(const ModuleTensors& tensors, ForeignScheme scheme)
    : tensors_(tensors), scheme_(scheme), out_(tensors.spec().shape[0]), in_(tensors.spec().shape[1]) {}

const TensorView& ForeignMatrix::Take(std::string_view part) {
  consumed_.push_back(tensors_.NameOf(part));
  return tensors_.At(part);
}

const TensorView& ForeignMatrix::Take(std::string_view part, DType dtype, const std::vector<int64_t>& shape) {
  consumed_.push_back(tensors_.NameOf(part));
  return tensors_.At(part, dtype, shape);
}

int64_t ForeignMatrix::OutputBlocks() const {
  return scheme_.block_outputs > 0 ? (out_ + scheme_.block_outputs - 1) / scheme_.block_outputs : 1;
}

void ForeignMatrix::TakeFloats(std::string_view part) {
  scale_name_ = part;
  grid_.view = Take(part);
  if (!IsFloat(grid_.view.dtype))
    tensors_.Wrong(part, fmt::format("has type {}, expected a float type", Name(grid_.view.dtype)));
}

void ForeignMatrix::TakeTransposedScales(std::string_view part) {
  TakeFloats(part);
  tensors_.At(part, grid_.view.dtype, {Groups(), out_});
  grid_.group_stride = out_;
}

void ForeignMatrix::TakeScales(std::string_view part) {
  const int64_t rows = OutputBlocks(), groups = Groups();
  TakeFloats(part);
  const auto& shape = grid_.view.shape;
  const bool fits = shape == std::vector<int64_t>{rows, groups} ||
                    (groups == 1 && shape == std::vector<int64_t>{rows}) ||
                    (groups == 1 && rows == 1 && grid_.view.Elements() == 1);
  if (!fits)
    tensors_.Wrong(part, fmt::format("has shape {}, its quantization_config needs {}", ShapeText(shape),
                                     ShapeText({rows, groups})));
  grid_.block_outputs = scheme_.block_outputs > 0 ? scheme_.block_outputs : out_;
  grid_.output_stride = groups;
}

void ForeignMatrix::Load() {
  const auto count = static_cast<size_t>(grid_.view.Elements());
  std::vector<float> values(count);
  ToFloat(grid_.view.dtype, grid_.view.bytes.data(), count, values.data());
  for (size_t i = 0; i < count; ++i)
    if (!std::isfinite(values[i])) tensors_.Wrong(scale_name_, fmt::format("holds {} at element {}", values[i], i));
}

void ForeignMatrix::ReadCodes(int64_t, uint8_t*) const { assert(false && "has no codes"); }

std::optional<PackedFormat> IntegerMatrix::Packed() const {
  return group_of_input_.empty() ? scheme_.Packed() : std::nullopt;
}

void IntegerMatrix::TakeGroupIndex(std::string_view part) {
  const TensorView& view = Take(part, DType::kI32, {in_});
  std::vector<int32_t> groups(static_cast<size_t>(in_));
  std::memcpy(groups.data(), view.bytes.data(), groups.size() * sizeof(int32_t));
  // compressed-tensors makes room for it with -1, which stands where there is no order.
  if (std::all_of(groups.begin(), groups.end(), [](int32_t group) { return group == -1; })) return;
  bool regular = true;
  for (size_t i = 0; i < groups.size(); ++i) {
    if (groups[i] < 0 || groups[i] >= Groups())
      tensors_.Wrong(part,
                     fmt::format("holds {} at element {}, expected a group from 0 to {}", groups[i], i, Groups() - 1));
    regular = regular && groups[i] == static_cast<int64_t>(i) / GroupSize();
  }
  if (!regular) group_of_input_ = std::move(groups);
}

void IntegerMatrix::RequireMiddle(std::string_view part) {
  const int middle = 1 << (scheme_.bits - 1);
  for (const uint8_t zero : zeros_)
    if (zero != middle)
      tensors_.Wrong(part, fmt::format("holds the zero point {}; its quantization_config says symmetric, whose zero "
                                       "points are all {}",
                                       zero, middle));
  zeros_.clear();
}

void IntegerMatrix::ReadRow(int64_t row, float* values) const {
  const int64_t groups = Groups(), size = GroupSize();
  std::vector<uint8_t> codes(static_cast<size_t>(in_));
  ReadCodes(row, codes.data());
  std::vector<float> scales(static_cast<size_t>(groups));
  std::vector<int> zeros(static_cast<size_t>(groups), 1 << (scheme_.bits - 1));
  for (int64_t group = 0; group < groups; ++group) {
    scales[static_cast<size_t>(group)] = grid_.At(row, group);
    if (!zeros_.empty()) zeros[static_cast<size_t>(group)] = zeros_[static_cast<size_t>(group * out_ + row)];
  }
  for (int64_t i = 0; i < in_; ++i) {
    const auto group =
        static_cast<size_t>(group_of_input_.empty() ? i / size : group_of_input_[static_cast<size_t>(i)]);
    values[i] = static_cast<float>(codes[static_cast<size_t>(i)] - zeros[group]) * scales[group];
  }
}

std::unique_ptr<ForeignMatrix> MakeMatrix(const ModuleTensors& tensors, const ForeignScheme& scheme) {
  switch (scheme.layout) {
    case ForeignLayout::kPacked:
      return MakePackedMatrix(tensors, scheme);
    case ForeignLayout::kInteger:
      return MakeInt8Matrix(tensors, scheme);
    case ForeignLayout::kFloat:
      return MakeFloatMatrix(tensors, scheme);
    case ForeignLayout::kGptq:
      return MakeGptqMatrix(tensors, scheme);
    case ForeignLayout::kAwq:
      return MakeAwqMatrix(tensors, scheme);
  }
  return nullptr;
}

}  // namespace ecld
