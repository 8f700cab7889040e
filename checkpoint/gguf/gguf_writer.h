#pragma once
// A GGUF file (version 3, little-endian) written: metadata keys and tensors are named first, then the data of each
// tensor in any order and in pieces. gguf_file.h says what the bytes are, and reads them back.
//
//   GgufWriter file;
//   file.Key("general.architecture", std::string("llama"));
//   file.Tensor("token_embd.weight", GgmlType::kQ4_0, {49152, 576});
//   file.Create("m.gguf");
//   file.Write(0, 0, blocks);

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/gguf/gguf_dequantize.h"

namespace ecld {

class GgufWriter {
 public:
  GgufWriter() = default;
  ~GgufWriter();
  GgufWriter(const GgufWriter&) = delete;
  GgufWriter& operator=(const GgufWriter&) = delete;

  void Key(std::string_view name, uint32_t value);
  void Key(std::string_view name, int64_t value);  // stored as uint32. THROWS Error when it does not fit
  void Key(std::string_view name, float value);
  void Key(std::string_view name, bool value);
  void Key(std::string_view name, const std::string& value);
  void Key(std::string_view name, const std::vector<std::string>& values);
  void Key(std::string_view name, const std::vector<int32_t>& values);
  void Key(std::string_view name, const std::vector<float>& values);

  // shape: slowest first, [out_features, in_features]. REQUIRES: rows are whole blocks.
  void Tensor(std::string name, GgmlType type, std::vector<int64_t> shape);

  struct TensorInfo {
    std::string name;
    GgmlType type;
    std::vector<int64_t> shape;
    uint64_t offset;  // of the data
    uint64_t bytes;
  };
  const std::vector<TensorInfo>& tensors() const { return tensors_; }

  std::string Header() const;  // all that stands before the data
  uint64_t FileBytes() const;

  // Makes the file at its full size. THROWS Error: unwritable, disk full.
  void Create(const std::filesystem::path& path);
  // A piece of tensor `index` (as in tensors()). REQUIRES: created, and the piece lies inside.
  void Write(size_t index, uint64_t offset, std::span<const std::byte> bytes);
  // Until the file is on disk. THROWS Error.
  void Sync() const;

 private:
  void BeginKey(std::string_view name, uint32_t type);
  template <class T>
  void Array(std::string_view name, uint32_t type, const std::vector<T>& values);

  uint64_t key_count_ = 0, data_bytes_ = 0;
  std::string keys_;
  std::vector<TensorInfo> tensors_;
  std::filesystem::path path_;
  uint64_t data_begin_ = 0;
  int fd_ = -1;
};

}  // namespace ecld
