// AWQ ("gemm"). Codes and zero points are packed along out_features, eight of 4 bits in a word, in an order of their
// own:
//
//   qweight  I32 [in, out / 8]      field p of a word is output 8 * word + kOrder[p]
//   qzeros   I32 [groups, out / 8]  the same; may be missing where there are no zero points
//   scales   [groups, out]

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "checkpoint/foreign/matrix.h"

namespace ecld {
namespace {

constexpr std::array<int, 8> kShiftOfOutput = {0, 16, 4, 20, 8, 24, 12, 28};  // order 0 2 4 6 1 3 5 7

uint8_t FieldOf(const TensorView& view, int64_t row, int64_t output) {
  uint32_t word;
  std::memcpy(&word, view.bytes.data() + (row * view.shape[1] + output / 8) * 4, sizeof(word));
  return static_cast<uint8_t>(word >> kShiftOfOutput[static_cast<size_t>(output % 8)] & 15);
}

class AwqMatrix : public IntegerMatrix {
 public:
  AwqMatrix(const ModuleTensors& tensors, const ForeignScheme& scheme) : IntegerMatrix(tensors, scheme) {
    if (scheme_.bits != 4) tensors_.Wrong("qweight", fmt::format("is of {} bits, expected 4", scheme_.bits));
    if (out_ % 8 != 0) tensors_.Wrong("qweight", fmt::format("is of {} outputs, expected a multiple of 8", out_));
    qweight_ = Take("qweight", DType::kI32, {in_, out_ / 8});
    if (!scheme_.symmetric || tensors.Has("qzeros")) qzeros_ = Take("qzeros", DType::kI32, {Groups(), out_ / 8});
    TakeTransposedScales("scales");
  }

  void Load() override {
    IntegerMatrix::Load();
    if (qzeros_.bytes.empty()) return;
    zeros_.resize(static_cast<size_t>(Groups() * out_));
    for (int64_t group = 0; group < Groups(); ++group)
      for (int64_t output = 0; output < out_; ++output)
        zeros_[static_cast<size_t>(group * out_ + output)] = FieldOf(qzeros_, group, output);
    if (scheme_.symmetric) RequireMiddle("qzeros");
  }

  void ReadCodes(int64_t row, uint8_t* codes) const override {
    for (int64_t input = 0; input < in_; ++input) codes[input] = FieldOf(qweight_, input, row);
  }

 private:
  TensorView qweight_, qzeros_{DType::kI32, {}, {}};
};

}  // namespace

std::unique_ptr<ForeignMatrix> MakeAwqMatrix(const ModuleTensors& tensors, const ForeignScheme& scheme) {
  if (!tensors.Has("qweight")) return nullptr;
  return std::make_unique<AwqMatrix>(tensors, scheme);
}

}  // namespace ecld
