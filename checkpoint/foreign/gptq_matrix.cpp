// GPTQ. Codes are packed along in_features, zero points along out_features, as one bit stream each (FORMAT.md):
//
//   qweight  I32 [in * bits / 32, out]
//   qzeros   I32 [groups, out * bits / 32]
//   scales   [groups, out]
//   g_idx    I32 [in], the group of each input; may be missing
//
// Version 1 stores zero points less one. Its writers take the one away from every field of a word at once, so that a
// zero point of 0 borrows from the field above; adding it to the whole word gives all of them back. Fields of 3 bits
// lie across words, and are taken one by one.

#include <fmt/format.h>

#include <cstring>

#include "checkpoint/foreign/matrix.h"
#include "kernels/packing/packing.h"

namespace ecld {
namespace {

// One in each field of a word.
uint32_t OnesOf(int bits) {
  uint32_t ones = 0;
  for (int shift = 0; shift < 32; shift += bits) ones |= uint32_t{1} << shift;
  return ones;
}

class GptqMatrix : public IntegerMatrix {
 public:
  GptqMatrix(const ModuleTensors& tensors, const ForeignScheme& scheme) : IntegerMatrix(tensors, scheme) {
    const PackedFormat stream{scheme_.bits, 0, true};
    qweight_ = Take("qweight", DType::kI32, {stream.CodeWords(in_), out_});
    qzeros_ = Take("qzeros", DType::kI32, {Groups(), stream.ZeroWords(out_)});
    TakeTransposedScales("scales");
    // Without groups there is no order, and a file may leave it out.
    if (tensors.Has("g_idx") || (scheme_.group_index && Groups() > 1)) TakeGroupIndex("g_idx");
  }

  void Load() override {
    IntegerMatrix::Load();
    const int64_t words = qzeros_.shape[1];
    std::vector<uint32_t> row(static_cast<size_t>(words));
    zeros_.resize(static_cast<size_t>(Groups() * out_));
    for (int64_t group = 0; group < Groups(); ++group) {
      std::memcpy(row.data(), qzeros_.bytes.data() + group * words * 4, row.size() * 4);
      if (scheme_.zeros_minus_one && scheme_.bits != 3)
        for (uint32_t& word : row) word += OnesOf(scheme_.bits);
      uint8_t* zeros = &zeros_[static_cast<size_t>(group * out_)];
      UnpackBits(scheme_.bits, row.data(), 0, out_, zeros);
      if (scheme_.zeros_minus_one && scheme_.bits == 3)
        for (int64_t output = 0; output < out_; ++output) zeros[output] = (zeros[output] + 1) & 7;
    }
    if (scheme_.symmetric) RequireMiddle("qzeros");
  }

  void ReadCodes(int64_t row, uint8_t* codes) const override {
    UnpackBits(scheme_.bits, qweight_.bytes.data() + row * 4, 0, in_, codes, out_);
  }

 private:
  TensorView qweight_, qzeros_;
};

}  // namespace

std::unique_ptr<ForeignMatrix> MakeGptqMatrix(const ModuleTensors& tensors, const ForeignScheme& scheme) {
  if (!tensors.Has("qweight")) return nullptr;
  return std::make_unique<GptqMatrix>(tensors, scheme);
}

}  // namespace ecld
