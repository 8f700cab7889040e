#pragma once
// One GGUF file (version 2 or 3, little-endian), memory-mapped. Layout: "GGUF", uint32 version, uint64 tensor count,
// uint64 key count; the keys (string, uint32 type, value); the tensor infos (string, uint32 dimensions, uint64 sizes
// fastest first, uint32 type, uint64 offset); padding to general.alignment; the data, which offsets count from.
// Every number is checked before use: counts, lengths, overflow, bounds, alignment, overlap. Values and tensors are
// views into the file, which must stay open. A model may be split into files NAME-00001-of-00003.gguf ...: keys
// split.no (from 0), split.count and split.tensors.count in each, the model's other keys in the first.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/gguf/gguf_dequantize.h"
#include "core/mapped_file.h"

namespace ecld {

// Metadata floats are 32-bit: 1e-05 arrives as 9.99999975e-06. The shortest decimal that reads back as the same float
// is what the author wrote.
double ShortestDecimal(float value);

enum class GgufValueType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64,
};

// The value of one metadata key: a scalar, a string, or an array of one of the two. Each accessor THROWS Error naming
// file and key when the value is of another kind. Integers of every width and sign read as int64; a uint64 above that
// range is an Error.
class GgufValue {
 public:
  int64_t Int() const;
  double Number() const;   // floats and integers
  double Decimal() const;  // Number, of a 32-bit float its ShortestDecimal
  bool Bool() const;
  std::string String() const;
  std::vector<int64_t> Ints() const;
  std::vector<float> Floats() const;  // a boolean is 0 or 1
  std::vector<std::string_view> Strings() const;

  bool IsArray() const { return array_; }
  std::string_view Kind() const;  // "integer", "float", "boolean" or "string"; of the elements when an array
  const std::string& Where() const { return where_; }

  // The same type and the same bytes, wherever they stand.
  bool SameAs(const GgufValue& other) const;

 private:
  friend class GgufParser;
  [[noreturn]] void Wrong(std::string_view expected) const;
  int64_t IntAt(size_t index) const;
  double NumberAt(size_t index) const;

  std::string where_;   // "model.gguf: general.name"
  GgufValueType type_;  // of the elements when an array
  bool array_ = false;
  uint64_t count_ = 1;
  std::span<const std::byte> bytes_;  // of all elements; checked to hold count_ of them
};

struct GgufTensor {
  std::string name;
  GgmlType type;
  std::vector<int64_t> shape;        // slowest first, as everywhere in ECLD: [out_features, in_features]
  std::span<const std::byte> bytes;  // rows of whole blocks

  int64_t Elements() const;
};

struct GgufContents {
  std::string where;  // the file, for errors
  std::map<std::string, GgufValue, std::less<>> metadata;
  std::map<std::string, GgufTensor, std::less<>> tensors;

  // The value of a key; nullptr when absent.
  const GgufValue* Find(std::string_view key) const;
  // The value of a key. THROWS Error when absent.
  const GgufValue& At(std::string_view key) const;
};

// Parses a whole file from memory. where: for errors. THROWS Error on anything malformed or unsupported.
GgufContents ParseGguf(std::span<const std::byte> bytes, const std::string& where);

// All parts of a split file as one; parts: in order, each as parsed. THROWS Error: a part that is not the one its place
// says, a tensor in two parts, keys that differ, tensors missing.
GgufContents JoinGgufParts(std::vector<GgufContents> parts);

// A file, or all parts of a split one: whichever part path names, the others are found beside it by their names.
class GgufFile {
 public:
  // THROWS Error: see ParseGguf and JoinGgufParts; a part that is missing, a name that does not tell the others'.
  explicit GgufFile(const std::filesystem::path& path);

  const GgufContents& contents() const { return contents_; }
  uint64_t FileBytes() const;  // of all parts

 private:
  std::vector<MappedFile> files_;
  GgufContents contents_;
};

}  // namespace ecld
