// compressed-tensors. int-quantized: codes as they are, "weight" I8 [out, in]. pack-quantized where it is not ours:
// with a group for each input (weight_g_idx), of 1 or 7 bits, of groups that ECLD has no layout for, or packed by a
// release before 0.18, which filled words with 32 / bits codes and left the rest of their bits empty.

#include <fmt/format.h>

#include <cstring>

#include "checkpoint/foreign/matrix.h"
#include "kernels/packing/packing.h"

namespace ecld {
namespace {

// How codes of some bits lie in words: as one stream, or (padded) as many in each as it holds whole.
struct WordPacking {
  int bits;
  bool padded;

  int64_t Words(int64_t count) const {
    return padded ? (count + 32 / bits - 1) / (32 / bits) : (count * bits + 31) / 32;
  }
  void Unpack(const std::byte* words, int64_t count, uint8_t* codes, int64_t stride) const {
    if (!padded) return UnpackBits(bits, words, 0, count, codes, stride);
    const int64_t each = 32 / bits;
    for (int64_t i = 0; i < count; ++i) {
      uint32_t word;
      std::memcpy(&word, words + i / each * stride * 4, sizeof(word));
      codes[i] = static_cast<uint8_t>(word >> (i % each * bits) & ((1u << bits) - 1));
    }
  }
};

class CompressedMatrix : public IntegerMatrix {
 public:
  CompressedMatrix(const ModuleTensors& tensors, const ForeignScheme& scheme) : IntegerMatrix(tensors, scheme) {
    TakeScales("weight_scale");
    if (!scheme_.symmetric || tensors.Has(kZeros)) zero_view_ = Take(kZeros);
  }

 protected:
  static constexpr const char* kZeros = "weight_zero_point";

  // Zero points as signed bytes in the shape of the scales.
  void LoadSignedZeros() {
    const TensorView& view = zero_view_;
    if (view.dtype != DType::kI8) tensors_.Wrong(kZeros, fmt::format("has type {}, expected I8", Name(view.dtype)));
    if (view.Elements() != grid_.view.Elements())
      tensors_.Wrong(kZeros, fmt::format("has shape {}, expected that of the scales, {}", ShapeText(view.shape),
                                         ShapeText(grid_.view.shape)));
    zeros_.resize(static_cast<size_t>(Groups() * out_));
    for (int64_t group = 0; group < Groups(); ++group)
      for (int64_t row = 0; row < out_; ++row) {
        const int64_t from = row / grid_.block_outputs * grid_.output_stride + group * grid_.group_stride;
        zeros_[static_cast<size_t>(group * out_ + row)] =
            Unsigned(kZeros, static_cast<int8_t>(view.bytes[static_cast<size_t>(from)]));
      }
  }

  uint8_t Unsigned(std::string_view part, int code) const {
    const int middle = 1 << (scheme_.bits - 1);
    if (code < -middle || code >= middle)
      tensors_.Wrong(part, fmt::format("holds {}, which {} bits cannot", code, scheme_.bits));
    return static_cast<uint8_t>(code + middle);
  }

  TensorView zero_view_{DType::kI8, {}, {}};  // no bytes: none
};

class Int8Matrix : public CompressedMatrix {
 public:
  Int8Matrix(const ModuleTensors& tensors, const ForeignScheme& scheme) : CompressedMatrix(tensors, scheme) {
    codes_ = Take("weight", DType::kI8, {out_, in_});
    if (scheme_.group_index || tensors.Has("weight_g_idx")) TakeGroupIndex("weight_g_idx");
  }

  void Load() override {
    CompressedMatrix::Load();
    if (zero_view_.bytes.empty()) return;
    LoadSignedZeros();
    if (scheme_.symmetric) RequireMiddle(kZeros);
  }

  void ReadCodes(int64_t row, uint8_t* codes) const override {
    const std::byte* from = codes_.bytes.data() + row * in_;
    for (int64_t i = 0; i < in_; ++i) codes[i] = Unsigned("weight", static_cast<int8_t>(from[i]));
  }

 private:
  TensorView codes_;
};

class PackedMatrix : public CompressedMatrix {
 public:
  PackedMatrix(const ModuleTensors& tensors, const ForeignScheme& scheme)
      : CompressedMatrix(tensors, scheme), packing_{scheme_.bits, !PackedAsOurs(tensors, scheme)} {
    codes_ = Take("weight_packed", DType::kI32, {out_, packing_.Words(in_)});
    const TensorView& shape = Take("weight_shape", DType::kI64, {2});
    int64_t sizes[2];
    std::memcpy(sizes, shape.bytes.data(), sizeof(sizes));
    if (sizes[0] != out_ || sizes[1] != in_)
      tensors_.Wrong("weight_shape",
                     fmt::format("says [{}, {}], config.json needs [{}, {}]", sizes[0], sizes[1], out_, in_));
    if (!zero_view_.bytes.empty() && zero_view_.dtype != DType::kI8)
      tensors.At(kZeros, DType::kI32, {packing_.Words(out_), Groups()});
    if (scheme_.group_index || tensors.Has("weight_g_idx")) TakeGroupIndex("weight_g_idx");
  }

  void Load() override {
    CompressedMatrix::Load();
    if (zero_view_.bytes.empty()) return;
    if (zero_view_.dtype == DType::kI8) {  // releases before 0.9 did not pack them
      LoadSignedZeros();
    } else {
      zeros_.resize(static_cast<size_t>(Groups() * out_));
      for (int64_t group = 0; group < Groups(); ++group)
        packing_.Unpack(zero_view_.bytes.data() + group * 4, out_, &zeros_[static_cast<size_t>(group * out_)],
                        Groups());
    }
    if (scheme_.symmetric) RequireMiddle(kZeros);
  }

  void ReadCodes(int64_t row, uint8_t* codes) const override {
    packing_.Unpack(codes_.bytes.data() + row * codes_.shape[1] * 4, in_, codes, 1);
  }

 private:
  WordPacking packing_;
  TensorView codes_;
};

}  // namespace

bool PackedAsOurs(const ModuleTensors& tensors, const ForeignScheme& scheme) {
  const int64_t out = tensors.spec().shape[0], in = tensors.spec().shape[1];
  const std::vector<int64_t> dense = {out, WordPacking{scheme.bits, false}.Words(in)};
  const std::vector<int64_t> padded = {out, WordPacking{scheme.bits, true}.Words(in)};
  return dense == padded || tensors.At("weight_packed").shape != padded;
}

std::unique_ptr<ForeignMatrix> MakeInt8Matrix(const ModuleTensors& tensors, const ForeignScheme& scheme) {
  return std::make_unique<Int8Matrix>(tensors, scheme);
}

std::unique_ptr<ForeignMatrix> MakePackedMatrix(const ModuleTensors& tensors, const ForeignScheme& scheme) {
  return std::make_unique<PackedMatrix>(tensors, scheme);
}

}  // namespace ecld
