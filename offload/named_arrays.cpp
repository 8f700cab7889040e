#include "offload/named_arrays.h"

#include <fmt/ranges.h>

#include <cassert>
#include <cmath>
#include <cstring>
#include <numeric>

#include "checkpoint/safetensors.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json.h"

namespace ecld::offload {
namespace {

template <class T>
void Append(const std::vector<double>& values, std::string* bytes) {
  for (const double value : values) {
    const T stored = static_cast<T>(value);
    bytes->append(reinterpret_cast<const char*>(&stored), sizeof(stored));
  }
}

template <class T>
std::vector<double> Values(std::span<const std::byte> bytes) {
  std::vector<double> values(bytes.size() / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    T stored;
    std::memcpy(&stored, bytes.data() + i * sizeof(T), sizeof(T));
    values[i] = stored;
  }
  return values;
}

}  // namespace

void WriteArrays(const std::filesystem::path& file, const NamedArrays& arrays) {
  Json header = Json::object();
  std::string data;
  for (const auto& [name, array] : arrays) {
    const size_t begin = data.size();
    array.dtype == DType::kF64 ? Append<double>(array.values, &data) : Append<float>(array.values, &data);
    header[name] = {{"dtype", Name(array.dtype)}, {"shape", array.shape}, {"data_offsets", {begin, data.size()}}};
  }
  std::string head = header.dump();
  head.resize((head.size() + 7) / 8 * 8, ' ');
  const uint64_t size = head.size();
  WriteFileAtomically(file, std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + head + data);
}

NamedArrays ReadArrays(const std::filesystem::path& file) {
  const SafetensorsFile opened(file);
  NamedArrays arrays;
  for (const auto& [name, view] : opened.tensors()) {
    const std::string where = fmt::format("{}: tensor \"{}\"", file.string(), name);
    if (view.dtype != DType::kF32 && view.dtype != DType::kF64)
      Fail(where, "is of type {}, F32 or F64 would be right", Name(view.dtype));
    NamedArray array{.shape = view.shape, .dtype = view.dtype};
    array.values = view.dtype == DType::kF64 ? Values<double>(view.bytes) : Values<float>(view.bytes);
    for (const double value : array.values)
      if (!std::isfinite(value)) Fail(where, "holds NaN or infinity");
    arrays.emplace(name, std::move(array));
  }
  return arrays;
}

const NamedArray& ArrayIn(const NamedArrays& arrays, const std::string& name, const std::vector<int64_t>& shape,
                          const std::string& file) {
  const auto found = arrays.find(name);
  if (found == arrays.end()) Fail(file, "has no tensor \"{}\"", name);
  if (!shape.empty() && found->second.shape != shape)
    Fail(fmt::format("{}: tensor \"{}\"", file, name), "is [{}], [{}] would be right",
         fmt::join(found->second.shape, ", "), fmt::join(shape, ", "));
  return found->second;
}

}  // namespace ecld::offload
