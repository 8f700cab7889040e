#include "checkpoint/gguf/gguf_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "core/error.h"

namespace ecld {

static_assert(std::endian::native == std::endian::little, "GGUF values are read in place");

namespace {

constexpr uint64_t kDefaultAlignment = 32;
constexpr uint32_t kMaxDimensions = 4;
constexpr uint64_t kMinKeyBytes = 8 + 4 + 1;             // empty name, type, one-byte value
constexpr uint64_t kMinTensorInfoBytes = 8 + 4 + 4 + 8;  // empty name, no dimension, type, offset

// Bytes of one element of a scalar type; 0 for strings and arrays, whose size is in the file.
uint64_t ScalarBytes(GgufValueType type) {
  switch (type) {
    case GgufValueType::kU8:
    case GgufValueType::kI8:
    case GgufValueType::kBool:
      return 1;
    case GgufValueType::kU16:
    case GgufValueType::kI16:
      return 2;
    case GgufValueType::kU32:
    case GgufValueType::kI32:
    case GgufValueType::kF32:
      return 4;
    case GgufValueType::kU64:
    case GgufValueType::kI64:
    case GgufValueType::kF64:
      return 8;
    case GgufValueType::kString:
    case GgufValueType::kArray:
      break;
  }
  return 0;
}

struct TensorInfo {
  GgufTensor tensor;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

}  // namespace

// Walks the file from the front. position_ never passes the end: Take is the only way forward.
class GgufParser {
 public:
  GgufParser(std::span<const std::byte> bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  GgufContents Parse() {
    contents_.where = where_;
    CheckHeader();
    auto tensor_count = Read<uint64_t>("the tensor count");
    auto key_count = Read<uint64_t>("the key count");
    CheckCount(key_count, kMinKeyBytes, where_, "keys");
    for (uint64_t i = 0; i < key_count; ++i) ReadKey();
    CheckCount(tensor_count, kMinTensorInfoBytes, where_, "tensors");
    std::vector<TensorInfo> infos;
    for (uint64_t i = 0; i < tensor_count; ++i) infos.push_back(ReadTensorInfo());
    PlaceTensors(infos);
    return std::move(contents_);
  }

 private:
  std::span<const std::byte> Take(uint64_t count, std::string_view what) {
    uint64_t left = bytes_.size() - position_;
    if (count > left)
      Fail(where_, "{} needs {} bytes at offset {}, the file has {} left: it is cut short or damaged", what, count,
           position_, left);
    auto taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }

  template <class T>
  T Read(std::string_view what) {
    T value;
    std::memcpy(&value, Take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  std::string ReadString(std::string_view what) {
    auto length = Read<uint64_t>(what);
    auto text = Take(length, what);
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }

  // A count may not promise more things than the rest of the file has room for.
  void CheckCount(uint64_t count, uint64_t least_bytes, const std::string& at, std::string_view things) const {
    uint64_t left = bytes_.size() - position_;
    if (count > left / least_bytes)
      Fail(at, "{} {} cannot fit in the {} bytes left in the file: it is cut short or damaged", count, things, left);
  }

  void CheckHeader() {
    if (bytes_.empty()) Fail(where_, "is empty: a GGUF file begins with \"GGUF\"");
    auto magic = Take(4, "the magic");
    if (std::memcmp(magic.data(), "GGUF", 4) != 0)
      Fail(where_, "is not a GGUF file: it does not begin with \"GGUF\"{}", WhatItSeemsToBe());
    auto version = Read<uint32_t>("the version");
    if (version != 0 && (version & 0xffffu) == 0)
      Fail(where_, "is a big-endian GGUF file; only little-endian ones are read");
    if (version != 2 && version != 3) Fail(where_, "GGUF version {} is not supported; 2 and 3 are", version);
  }

  // What people have under such a name; nothing where it is none of that.
  std::string_view WhatItSeemsToBe() const {
    auto begins = [&](std::string_view text) {
      return bytes_.size() >= text.size() && std::memcmp(bytes_.data(), text.data(), text.size()) == 0;
    };
    if (begins("version https://git-lfs"))
      return "; it is a Git LFS pointer that stands for the file, which `git lfs pull` fetches";
    for (const char* old : {"lmgg", "tjgg", "algg", "fmgg", "GGML"})  // GGML, GGJT, GGLA, GGMF as little-endian words
      if (begins(old)) return "; it is of a GGML format from before GGUF, from which llama.cpp once converted";
    if (begins("<")) return "; it seems to be a web page, saved in place of the file";
    if (begins("PK")) return "; it is a ZIP archive, as PyTorch writes";
    return "";
  }

  void ReadKey() {
    std::string key = ReadString(fmt::format("the name of key {}", contents_.metadata.size()));
    GgufValue value;
    value.where_ = fmt::format("{}: {}", where_, key);
    value.type_ = ReadValueType(value.where_, key);
    if (value.type_ == GgufValueType::kArray) {
      value.array_ = true;
      value.type_ = ReadValueType(value.where_, key);
      if (value.type_ == GgufValueType::kArray) Fail(value.where_, "is an array of arrays, which is not supported");
      value.count_ = Read<uint64_t>(key);
    }
    value.bytes_ = TakeElements(value, key);
    if (!contents_.metadata.emplace(key, value).second) Fail(value.where_, "is there twice");
  }

  GgufValueType ReadValueType(const std::string& at, std::string_view key) {
    auto type = Read<uint32_t>(key);
    if (type > static_cast<uint32_t>(GgufValueType::kF64))
      Fail(at, "value type {} is unknown; 0 to 12 are defined", type);
    return static_cast<GgufValueType>(type);
  }

  std::span<const std::byte> TakeElements(const GgufValue& value, std::string_view key) {
    if (uint64_t size = ScalarBytes(value.type_)) {
      CheckCount(value.count_, size, value.where_, "values");
      return Take(value.count_ * size, key);
    }
    CheckCount(value.count_, sizeof(uint64_t), value.where_, "strings");
    uint64_t begin = position_;
    for (uint64_t i = 0; i < value.count_; ++i) {
      auto length = Read<uint64_t>(key);
      Take(length, key);
    }
    return bytes_.subspan(begin, position_ - begin);
  }

  TensorInfo ReadTensorInfo() {
    TensorInfo info;
    GgufTensor& tensor = info.tensor;
    tensor.name = ReadString("a tensor name");
    std::string at = fmt::format("{}: tensor {}", where_, tensor.name);
    auto dimensions = Read<uint32_t>(tensor.name);
    if (dimensions == 0 || dimensions > kMaxDimensions) {
      Fail(at, "has {} dimensions; 1 to {} are possible", dimensions, kMaxDimensions);
    }
    for (uint32_t i = 0; i < dimensions; ++i) tensor.shape.push_back(ReadDimension(tensor.name, at));
    std::reverse(tensor.shape.begin(), tensor.shape.end());
    auto type = Read<uint32_t>(tensor.name);
    const GgmlTypeInfo* layout = FindGgmlType(type);
    if (!layout) Fail(at, "is stored as {}, which is not supported; {} are", GgmlTypeName(type), SupportedGgmlTypes());
    tensor.type = layout->type;
    info.offset = Read<uint64_t>(tensor.name);
    info.bytes = TensorBytes(tensor.shape, *layout, at);
    return info;
  }

  int64_t ReadDimension(const std::string& name, const std::string& at) {
    auto size = Read<uint64_t>(name);
    if (size == 0 || size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      Fail(at, "has a dimension of size {}", size);
    }
    return static_cast<int64_t>(size);
  }

  static uint64_t TensorBytes(const std::vector<int64_t>& shape, const GgmlTypeInfo& layout, const std::string& at) {
    if (shape.back() % layout.block_elements != 0) {
      Fail(at, "has rows of {} elements, which {} stores in blocks of {}", shape.back(), layout.name,
           layout.block_elements);
    }
    uint64_t bytes = static_cast<uint64_t>(layout.block_bytes);
    for (size_t i = 0; i < shape.size(); ++i) {
      auto size = static_cast<uint64_t>(i + 1 == shape.size() ? shape[i] / layout.block_elements : shape[i]);
      if (__builtin_mul_overflow(bytes, size, &bytes))
        Fail(at, "is larger than any file: [{}]", fmt::join(shape, ", "));
    }
    return bytes;
  }

  uint64_t Alignment() const {
    const GgufValue* value = contents_.Find("general.alignment");
    if (!value) return kDefaultAlignment;
    int64_t alignment = value->Int();
    if (alignment < 1 || alignment > (1 << 30) || !std::has_single_bit(static_cast<uint64_t>(alignment))) {
      Fail(value->Where(), "must be a power of two, found {}", alignment);
    }
    return static_cast<uint64_t>(alignment);
  }

  void PlaceTensors(std::vector<TensorInfo>& infos) {
    uint64_t alignment = Alignment();
    if (infos.empty()) return;  // a vocabulary alone: such a file may end without the padding
    Take((alignment - position_ % alignment) % alignment, "the padding before the data");
    auto data = bytes_.subspan(position_);
    std::sort(infos.begin(), infos.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
    const TensorInfo* previous = nullptr;
    for (TensorInfo& info : infos) {
      std::string at = fmt::format("{}: tensor {}", where_, info.tensor.name);
      if (info.offset % alignment != 0) Fail(at, "begins at {}, which is not a multiple of {}", info.offset, alignment);
      if (info.offset > data.size() || info.bytes > data.size() - info.offset) {
        Fail(at, "needs {} bytes at {} of the data, which has {}: the file is cut short or damaged", info.bytes,
             info.offset, data.size());
      }
      if (previous && previous->offset + previous->bytes > info.offset) {
        Fail(at, "overlaps tensor {}", previous->tensor.name);
      }
      info.tensor.bytes = data.subspan(info.offset, info.bytes);
      previous = &info;
    }
    for (TensorInfo& info : infos) {
      std::string name = info.tensor.name;
      if (!contents_.tensors.emplace(name, std::move(info.tensor)).second)
        Fail(where_, "tensor {} is there twice", name);
    }
  }

  std::span<const std::byte> bytes_;
  std::string where_;
  uint64_t position_ = 0;
  GgufContents contents_;
};

int64_t GgufTensor::Elements() const {
  int64_t count = 1;
  for (int64_t size : shape) count *= size;
  return count;
}

const GgufValue* GgufContents::Find(std::string_view key) const {
  auto found = metadata.find(key);
  return found == metadata.end() ? nullptr : &found->second;
}

const GgufValue& GgufContents::At(std::string_view key) const {
  if (const GgufValue* value = Find(key)) return *value;
  Fail(where, "has no key {}", key);
}

GgufContents ParseGguf(std::span<const std::byte> bytes, const std::string& where) {
  return GgufParser(bytes, where).Parse();
}

}  // namespace ecld
