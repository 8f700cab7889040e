#pragma once
// A tiny checkpoint whose tensors and config are changed before it is written, and bit streams made bit by bit: the
// files that other programs write, built from known codes.

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/foreign/translation.h"
#include "checkpoint/shard_writer.h"
#include "core/random.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {

class ForeignCheckpoint {
 public:
  // The module that the tests store in another way: [96, 64], of a model in float32.
  static constexpr const char* kModule = "model.layers.0.mlp.up_proj";
  static constexpr int64_t kOut = 96, kIn = 64;

  explicit ForeignCheckpoint(const TinyOptions& options = {}) {
    WriteTinyCheckpoint(source_.path(), options);
    const Checkpoint source = Checkpoint::Open(source_.path());
    for (const TensorSpec& spec : source.table()) {
      const TensorView& view = source.Tensor(spec.name);
      tensors_[spec.name] = {{spec.name, view.dtype, view.shape}, {view.bytes.begin(), view.bytes.end()}};
    }
    config = ReadJsonFile(source_.path() / "config.json");
  }

  Json config;
  // The prefixes under which the decoder's and the head's tensors are written.
  std::string decoder = "model.", head = "";

  template <class T>
  void Put(const std::string& part, DType dtype, std::vector<int64_t> shape, const std::vector<T>& values) {
    const std::string name = part.find("model.") == 0 || part.find("lm_head") == 0 ? part : Name(part);
    Stored& stored = tensors_[name];
    stored.tensor = {name, dtype, std::move(shape)};
    stored.bytes.resize(values.size() * sizeof(T));
    std::memcpy(stored.bytes.data(), values.data(), stored.bytes.size());
    ASSERT_EQ(stored.tensor.Bytes(), stored.bytes.size()) << name;
  }
  void Remove(const std::string& part) { tensors_.erase(Name(part)); }
  std::string NameInFile(const std::string& name) const {
    return name.starts_with("model.") ? decoder + name.substr(6) : head + name;
  }
  static std::string Name(const std::string& part) { return std::string(kModule) + "." + part; }

  // Writes it anew and returns its folder.
  const std::filesystem::path& Write() {
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path()))
      std::filesystem::remove_all(entry.path());
    std::vector<StoredTensor> all;
    for (const auto& [name, stored] : tensors_) {
      all.push_back(stored.tensor);
      all.back().name = NameInFile(name);
    }
    ShardWriter writer(directory_.path(), all);
    writer.Open();
    writer.Allocate();
    for (const auto& [name, stored] : tensors_) writer.WritePiece(NameInFile(name), 0, stored.bytes);
    WriteJsonFile(directory_.path() / "config.json", config);
    return directory_.path();
  }
  const std::filesystem::path& directory() const { return directory_.path(); }
  Checkpoint Open(Unpacking unpacking = Unpacking::kKeep) { return Checkpoint::Open(Write(), unpacking); }

  static const TensorSpec& Spec(const Checkpoint& checkpoint) { return Find(checkpoint.table(), Role::kUp, 0); }
  // The module's weights as they are read.
  static std::vector<float> Weights(const Checkpoint& checkpoint) { return checkpoint.ReadFloats(Spec(checkpoint)); }

 private:
  struct Stored {
    StoredTensor tensor;
    std::vector<std::byte> bytes;
  };
  TempDir source_, directory_;
  std::map<std::string, Stored> tensors_;
};

// Integers of `bits` bits as one stream, the lowest bit first, a bit at a time.
inline std::vector<uint32_t> BitStream(int bits, const std::vector<int>& values) {
  std::vector<uint32_t> words((values.size() * static_cast<size_t>(bits) + 31) / 32);
  for (size_t i = 0; i < values.size(); ++i)
    for (int bit = 0; bit < bits; ++bit) {
      const size_t at = i * static_cast<size_t>(bits) + static_cast<size_t>(bit);
      words[at / 32] |= static_cast<uint32_t>(values[i] >> bit & 1) << at % 32;
    }
  return words;
}

// Known codes of a matrix with groups: what a test stores and what must come back.
struct KnownGroups {
  int bits;
  int64_t out, in, group_size;
  std::vector<int> codes;        // [out][in], from 0
  std::vector<int> zeros;        // [out][groups], from 0
  std::vector<uint16_t> scales;  // half, [out][groups]
  std::vector<int> group_of;     // [in]

  KnownGroups(int code_bits, int64_t size, bool symmetric, int64_t outputs = ForeignCheckpoint::kOut,
              int64_t inputs = ForeignCheckpoint::kIn)
      : bits(code_bits), out(outputs), in(inputs), group_size(size > 0 ? size : inputs) {
    Random random(7);
    for (int64_t i = 0; i < out * in; ++i) codes.push_back(static_cast<int>(random.Below(1 << bits)));
    for (int64_t i = 0; i < out * Groups(); ++i) {
      zeros.push_back(symmetric ? 1 << (bits - 1) : static_cast<int>(random.Below(1 << bits)));
      scales.push_back(FloatToHalf(static_cast<float>(0.01 + 0.05 * random.Uniform())));
    }
    for (int64_t i = 0; i < in; ++i) group_of.push_back(static_cast<int>(i / group_size));
  }

  int64_t Groups() const { return (in + group_size - 1) / group_size; }
  int Code(int64_t row, int64_t i) const { return codes[static_cast<size_t>(row * in + i)]; }
  int Zero(int64_t row, int64_t group) const { return zeros[static_cast<size_t>(row * Groups() + group)]; }
  uint16_t Scale(int64_t row, int64_t group) const { return scales[static_cast<size_t>(row * Groups() + group)]; }

  std::vector<float> Expected() const {
    std::vector<float> values;
    for (int64_t row = 0; row < out; ++row)
      for (int64_t i = 0; i < in; ++i) {
        const int group = group_of[static_cast<size_t>(i)];
        values.push_back(static_cast<float>(Code(row, i) - Zero(row, group)) * HalfToFloat(Scale(row, group)));
      }
    return values;
  }
  // [groups][out], as GPTQ and AWQ have them.
  std::vector<uint16_t> TransposedScales() const {
    std::vector<uint16_t> transposed;
    for (int64_t group = 0; group < Groups(); ++group)
      for (int64_t row = 0; row < out; ++row) transposed.push_back(Scale(row, group));
    return transposed;
  }
};

}  // namespace ecld
