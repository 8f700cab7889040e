#pragma once
// Arrays of numbers by name, in a safetensors file: what a learned policy consists of, and what a run goes on from.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/dtype.h"

namespace ecld::offload {

struct NamedArray {
  std::vector<int64_t> shape;
  std::vector<double> values;  // row-major
  DType dtype = DType::kF32;   // in the file; kF32 or kF64
};
using NamedArrays = std::map<std::string, NamedArray, std::less<>>;

// Replaces the file by one rename. THROWS Error.
void WriteArrays(const std::filesystem::path& file, const NamedArrays& arrays);
// THROWS Error: malformed; another type than F32 or F64; a value that is not finite.
NamedArrays ReadArrays(const std::filesystem::path& file);

// One of them. THROWS Error, naming file: not there, of another shape (an empty one: whatever it is).
const NamedArray& ArrayIn(const NamedArrays& arrays, const std::string& name, const std::vector<int64_t>& shape,
                          const std::string& file);

}  // namespace ecld::offload
