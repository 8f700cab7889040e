#pragma once
// GGUF files made byte by byte, valid ones and broken ones. A builder starts as nothing; Bytes() is the file.
//
//   GgufBuilder file;
//   file.Key("general.architecture", "llama").Key("llama.block_count", uint32_t{1}).Tensor("a", 0, {4}, bytes);
//
// What is wrong is said by changing one of the public fields, or the bytes afterwards.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace ecld {

class GgufBuilder {
 public:
  struct Info {
    std::string name;
    uint32_t type;
    std::vector<uint64_t> shape;  // as in the file: fastest first
    uint64_t offset;
  };

  std::string magic = "GGUF";
  uint32_t version = 3;
  uint64_t alignment = 32;                     // of the data; the key general.alignment is not added by itself
  uint64_t extra_tensors = 0, extra_keys = 0;  // promised in the header, absent from the file
  std::vector<Info> tensors;

  // Scalars of any width, strings, and arrays of both.
  template <class T>
  GgufBuilder& Key(std::string_view name, const T& value) {
    RawKey(name, TypeOf<T>());
    Append(&keys_, value);
    return *this;
  }
  template <class T>
  GgufBuilder& Key(std::string_view name, const std::vector<T>& values) {
    RawKey(name, 9);
    Append(&keys_, TypeOf<T>());
    Append(&keys_, uint64_t{values.size()});
    for (const T& value : values) Append(&keys_, value);
    return *this;
  }
  // A key whose value is yet to come, or never: for broken files.
  GgufBuilder& RawKey(std::string_view name, uint32_t type) {
    ++key_count_;
    Append(&keys_, name);
    Append(&keys_, type);
    return *this;
  }
  template <class T>
  GgufBuilder& RawValue(const T& value) {
    Append(&keys_, value);
    return *this;
  }

  // Its data follows that of the tensor before, aligned.
  GgufBuilder& Tensor(std::string_view name, uint32_t type, std::vector<uint64_t> shape, std::string_view data) {
    data_.resize((data_.size() + alignment - 1) / alignment * alignment);
    tensors.push_back({std::string(name), type, std::move(shape), data_.size()});
    data_ += data;
    return *this;
  }
  // F32, shape slowest first as everywhere in ECLD.
  GgufBuilder& Floats(std::string_view name, std::vector<uint64_t> shape, const std::vector<float>& values) {
    return Tensor(name, 0, {shape.rbegin(), shape.rend()},
                  {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  }

  std::string Bytes() const {
    std::string file = magic;
    Append(&file, version);
    Append(&file, uint64_t{tensors.size() + extra_tensors});
    Append(&file, uint64_t{key_count_ + extra_keys});
    file += keys_;
    for (const Info& info : tensors) {
      Append(&file, std::string_view(info.name));
      Append(&file, static_cast<uint32_t>(info.shape.size()));
      for (uint64_t size : info.shape) Append(&file, size);
      Append(&file, info.type);
      Append(&file, info.offset);
    }
    if (!tensors.empty()) file.resize((file.size() + alignment - 1) / alignment * alignment);
    return file + data_;
  }

  std::filesystem::path Write(const std::filesystem::path& path) const {
    std::string bytes = Bytes();
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path;
  }

 private:
  template <class T>
  static uint32_t TypeOf() {
    if constexpr (std::is_same_v<T, bool>)
      return 7;
    else if constexpr (std::is_same_v<T, float>)
      return 6;
    else if constexpr (std::is_same_v<T, double>)
      return 12;
    else if constexpr (!std::is_arithmetic_v<T>)
      return 8;
    else if constexpr (sizeof(T) == 8)
      return std::is_signed_v<T> ? 11 : 10;
    else
      return (sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 2 : 4) + (std::is_signed_v<T> ? 1 : 0);
  }

  template <class T>
  static void Append(std::string* out, const T& value) {
    if constexpr (std::is_arithmetic_v<T>) {
      out->append(reinterpret_cast<const char*>(&value), sizeof value);
    } else {
      std::string_view text(value);
      Append(out, uint64_t{text.size()});
      out->append(text);
    }
  }

  uint64_t key_count_ = 0;
  std::string keys_, data_;
};

}  // namespace ecld
