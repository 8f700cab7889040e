#pragma once
// One weight matrix as another program stored it, read a row at a time: as codes where a format of ours holds the same,
// or as floats. Making one looks at names, types, shapes and group indices only; Load reads scales and zero points.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/foreign/foreign_config.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/tensor_table.h"

namespace ecld {

using TensorMap = std::map<std::string, TensorView, std::less<>>;

// The tensors of a module, by the part of their name behind the module's. Once the map of tensors is gone it can still
// say what is wrong with one.
class ModuleTensors {
 public:
  ModuleTensors(const TensorSpec& spec, const TensorMap& tensors, std::string where)
      : spec_(spec), tensors_(&tensors), where_(std::move(where)) {}

  const TensorSpec& spec() const { return spec_; }
  std::string NameOf(std::string_view part) const { return spec_.module + "." + std::string(part); }
  bool Has(std::string_view part) const { return tensors_->contains(NameOf(part)); }
  // THROWS Error when it is missing.
  const TensorView& At(std::string_view part) const;
  // The same, of this type and shape. THROWS Error otherwise.
  const TensorView& At(std::string_view part, DType dtype, const std::vector<int64_t>& shape) const;
  // THROWS Error about one of them.
  [[noreturn]] void Wrong(std::string_view part, const std::string& problem) const;

 private:
  TensorSpec spec_;
  const TensorMap* tensors_;
  std::string where_;
};

// Scales of blocks of a matrix, wherever they lie in their tensor.
struct ScaleGrid {
  TensorView view;
  int64_t block_outputs = 1;  // outputs of a block
  int64_t output_stride = 1, group_stride = 1;

  float At(int64_t row, int64_t group) const;
};

class ForeignMatrix {
 public:
  ForeignMatrix(const ModuleTensors& tensors, ForeignScheme scheme);
  virtual ~ForeignMatrix() = default;

  const ForeignScheme& scheme() const { return scheme_; }
  int64_t out_features() const { return out_; }
  int64_t in_features() const { return in_; }
  // Names of the tensors that this was read from.
  const std::vector<std::string>& consumed() const { return consumed_; }
  // The format of ours that holds it without loss; nullopt: it becomes dense.
  virtual std::optional<PackedFormat> Packed() const { return std::nullopt; }
  DType scale_dtype() const { return grid_.view.dtype; }

  // Reads and checks what all rows need, and the rest of the functions need it done. THROWS Error: a scale that is not
  // finite, a zero point out of range.
  virtual void Load();
  // Forgets what Load read.
  void Unload() { zeros_ = {}; }
  virtual void ReadRow(int64_t row, float* values) const = 0;
  // Of a matrix with a packed format: its codes, and [groups][outputs] zero points, empty where they are all the
  // middle.
  virtual void ReadCodes(int64_t row, uint8_t* codes) const;
  const std::vector<uint8_t>& zeros() const { return zeros_; }
  const ScaleGrid& scales() const { return grid_; }

 protected:
  const TensorView& Take(std::string_view part);
  const TensorView& Take(std::string_view part, DType dtype, const std::vector<int64_t>& shape);
  // The scales of blocks as the scheme says, [output blocks, input blocks], with dimensions of one left out or not.
  void TakeScales(std::string_view part);
  // Those of groups, [groups, outputs].
  void TakeTransposedScales(std::string_view part);
  // Inputs that share a scale, and the number of such groups.
  int64_t GroupSize() const { return scheme_.block_inputs > 0 ? scheme_.block_inputs : in_; }
  int64_t Groups() const { return (in_ + GroupSize() - 1) / GroupSize(); }
  int64_t OutputBlocks() const;

  ModuleTensors tensors_;
  ForeignScheme scheme_;
  int64_t out_, in_;
  std::string scale_name_;
  ScaleGrid grid_;
  std::vector<uint8_t> zeros_;

 private:
  void TakeFloats(std::string_view part);

  std::vector<std::string> consumed_;
};

// Integer codes: weight = (code - zero point) * scale of the input's group.
class IntegerMatrix : public ForeignMatrix {
 public:
  using ForeignMatrix::ForeignMatrix;
  std::optional<PackedFormat> Packed() const override;
  void ReadRow(int64_t row, float* values) const override;

 protected:
  // Each input's group, from an I32 tensor. THROWS Error when one does not exist.
  void TakeGroupIndex(std::string_view part);
  // THROWS Error unless all zero points are the middle code, and forgets them: what "symmetric" means.
  void RequireMiddle(std::string_view part);

 private:
  std::vector<int32_t> group_of_input_;  // empty: input / group size
};

// nullptr: the module is not stored as the scheme says, but dense.
std::unique_ptr<ForeignMatrix> MakeGptqMatrix(const ModuleTensors& tensors, const ForeignScheme& scheme);
std::unique_ptr<ForeignMatrix> MakeAwqMatrix(const ModuleTensors& tensors, const ForeignScheme& scheme);
std::unique_ptr<ForeignMatrix> MakeFloatMatrix(const ModuleTensors& tensors, const ForeignScheme& scheme);
// compressed-tensors' int-quantized and pack-quantized.
std::unique_ptr<ForeignMatrix> MakeInt8Matrix(const ModuleTensors& tensors, const ForeignScheme& scheme);
std::unique_ptr<ForeignMatrix> MakePackedMatrix(const ModuleTensors& tensors, const ForeignScheme& scheme);
// The one for the layout of scheme.
std::unique_ptr<ForeignMatrix> MakeMatrix(const ModuleTensors& tensors, const ForeignScheme& scheme);
// What ECLD itself reads, dense or packed.
std::unique_ptr<ForeignMatrix> MakeOwnMatrix(const ModuleTensors& tensors, const std::optional<PackedFormat>& format);

// Whether the packed codes of a module lie as kernels/packing/FORMAT.md says.
bool PackedAsOurs(const ModuleTensors& tensors, const ForeignScheme& scheme);
// The part that holds the scales of 8-bit floats in "weight"; empty: there are none.
std::string_view FloatScaleOf(const ModuleTensors& tensors);

// What shares a scale, for people: "128 x all".
std::string BlockText(const ForeignScheme& scheme);
std::string ShapeText(const std::vector<int64_t>& shape);

}  // namespace ecld
