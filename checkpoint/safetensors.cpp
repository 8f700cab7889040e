#include "checkpoint/safetensors.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "core/json.h"

namespace ecld {
namespace {

constexpr uint64_t kMaxHeader = 100'000'000;  // the limit of the format's own reader

struct Entry {
  uint64_t begin, end;
  std::string name;
};

std::vector<int64_t> ReadShape(const JsonView& json) {
  std::vector<int64_t> shape;
  for (size_t i = 0; i < json.Size(); ++i) {
    int64_t size = json.At(i).Int();
    if (size < 0) Fail(json.At(i).Where(), "a size cannot be negative, found {}", size);
    shape.push_back(size);
  }
  return shape;
}

// Elements times element size; refuses a product that does not fit.
uint64_t CheckedBytes(const std::vector<int64_t>& shape, DType dtype, const std::string& where) {
  uint64_t bytes = SizeOf(dtype);
  for (int64_t size : shape)
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(size), &bytes)) Fail(where, "shape overflows 64 bits");
  return bytes;
}

TensorView ReadTensor(const JsonView& json, std::span<const std::byte> data, Entry* entry) {
  std::string dtype_name = json.At("dtype").String();
  auto dtype = DTypeFromName(dtype_name);
  if (!dtype) Fail(json.At("dtype").Where(), "unknown type \"{}\"", dtype_name);
  TensorView view{*dtype, ReadShape(json.At("shape")), {}};
  JsonView offsets = json.At("data_offsets");
  if (offsets.Size() != 2) Fail(offsets.Where(), "expected [begin, end], found {} numbers", offsets.Size());
  int64_t begin = offsets.At(0).Int(), end = offsets.At(1).Int();
  if (begin < 0 || end < begin) Fail(offsets.Where(), "[{}, {}] is not a range", begin, end);
  if (static_cast<uint64_t>(end) > data.size())
    Fail(offsets.Where(), "ends at byte {}, but the file holds {} data bytes (truncated?)", end, data.size());
  uint64_t expected = CheckedBytes(view.shape, *dtype, json.Where());
  if (expected != static_cast<uint64_t>(end - begin))
    Fail(offsets.Where(), "holds {} bytes, shape and type need {}", end - begin, expected);
  entry->begin = static_cast<uint64_t>(begin);
  entry->end = static_cast<uint64_t>(end);
  view.bytes = data.subspan(entry->begin, expected);
  return view;
}

void RefuseOverlap(std::vector<Entry>& entries, const std::string& where) {
  std::sort(entries.begin(), entries.end(), [](auto& a, auto& b) { return a.begin < b.begin; });
  const Entry* widest = nullptr;
  for (const auto& entry : entries) {
    if (entry.begin == entry.end) continue;
    if (widest && entry.begin < widest->end)
      Fail(where, "tensors \"{}\" and \"{}\" overlap at byte {}", widest->name, entry.name, entry.begin);
    widest = &entry;
  }
}

}  // namespace

int64_t TensorView::Elements() const {
  int64_t elements = 1;
  for (int64_t size : shape) elements *= size;
  return elements;
}

void ParseSafetensors(std::span<const std::byte> bytes, const std::string& where, TensorViews* tensors,
                      std::map<std::string, std::string>* metadata) {
  uint64_t length = 0;
  if (bytes.size() < 8) Fail(where, "is {} bytes long, too short for a safetensors file", bytes.size());
  std::memcpy(&length, bytes.data(), 8);
  if (length > kMaxHeader || length > bytes.size() - 8)
    Fail(where, "header length {} exceeds the file of {} bytes (truncated, or not a safetensors file)", length,
         bytes.size());
  std::string_view text(reinterpret_cast<const char*>(bytes.data()) + 8, length);
  auto data = bytes.subspan(8 + length);
  Json header = ParseJson(text, where + ": header");
  JsonView root(header, where);
  std::vector<Entry> entries;
  for (const auto& name : root.Keys()) {
    if (name == "__metadata__") {
      JsonView values = root.At(name);
      for (const auto& key : values.Keys()) (*metadata)[key] = values.At(key).String();
      continue;
    }
    Entry entry{0, 0, name};
    tensors->emplace(name, ReadTensor(root.At(name), data, &entry));
    entries.push_back(std::move(entry));
  }
  RefuseOverlap(entries, where);
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path) {
  ParseSafetensors(file_.bytes(), path.string(), &tensors_, &metadata_);
}

}  // namespace ecld
