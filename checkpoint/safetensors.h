#pragma once
// One safetensors file, memory-mapped. Layout: uint64 little-endian header length N, N bytes of JSON
// {"name": {"dtype","shape","data_offsets":[begin,end]}, "__metadata__": {string: string}}, then the data; offsets
// count from the end of the header. Every number is checked before use: length, overflow, bounds, overlap, shape.

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/mapped_file.h"

namespace ecld {

struct TensorView {
  DType dtype;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;  // row-major, any alignment

  int64_t Elements() const;
};

using TensorViews = std::map<std::string, TensorView, std::less<>>;  // by name

class SafetensorsFile {
 public:
  // Reads the header only. THROWS Error on anything malformed, naming file and tensor.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  const TensorViews& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  MappedFile file_;
  TensorViews tensors_;
  std::map<std::string, std::string> metadata_;
};

// The fuzz entry: parses a header from memory. bytes: the whole file. where: for errors.
void ParseSafetensors(std::span<const std::byte> bytes, const std::string& where, TensorViews* tensors,
                      std::map<std::string, std::string>* metadata);

}  // namespace ecld
