#pragma once
// A Hugging Face checkpoint directory, opened for reading: config.json, one or more safetensors shards (mapped, not
// loaded), tokenizer files. Open checks that every tensor of the table is there with the right shape and type, so
// that whoever holds a Checkpoint can rely on it. Holding one costs no memory for weights. What another program
// quantized looks like one of ECLD's own (foreign/translation.h); its weights are made when the first is asked for.

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/config.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/tensor_table.h"
#include "kernels/packing/weight_view.h"

namespace ecld {

class Translation;

class Checkpoint {
 public:
  // THROWS Error: missing directory, config, shard, tensor; wrong shape or type; unknown architecture.
  static Checkpoint Open(const std::filesystem::path& directory, Unpacking unpacking = Unpacking::kKeep);
  // The same for shards that a CheckpointWriter has laid out but not finished; config.json is not there yet.
  static Checkpoint OpenStaged(const std::filesystem::path& directory, ModelConfig config);

  const std::filesystem::path& directory() const { return directory_; }
  const ModelConfig& config() const { return config_; }
  const std::vector<TensorSpec>& table() const { return table_; }
  // What the directory holds that its user should know and Open has logged: "config.json: ...".
  const std::vector<std::string>& notes() const { return notes_; }
  // The files with its weights, and whether another program finds them: by an index, or by their one usual name.
  const std::vector<std::shared_ptr<SafetensorsFile>>& shards() const { return shards_; }
  bool indexed() const { return indexed_; }

  // The stored tensor of this name. THROWS Error when absent.
  const TensorView& Tensor(std::string_view name) const;
  bool Has(std::string_view name) const;
  // Its type and shape alone, which cost nothing. THROWS Error when absent.
  StoredTensor Stored(std::string_view name) const;
  // Set where another program's formats are read.
  const Translation* translation() const { return translation_.get(); }

  // A parameter matrix, dense or packed. The head of a tied model is its embedding.
  WeightView Weight(const TensorSpec& spec) const;
  WeightView Head() const;

  // A parameter as floats (matrices row-major, dequantized when packed; norms as what they multiply by). THROWS Error
  // when it holds NaN or infinity.
  std::vector<float> ReadFloats(const TensorSpec& spec) const;

  // Lets the kernel drop the pages of all tensors of this layer (-1: embedding, final norm, head).
  void DropPages(int64_t layer) const;

  uint64_t WeightBytes() const;      // of all stored tensors that are used
  std::string ConfigSha256() const;  // identity of config.json
  // Identity of the weights without reading them all: names, types, shapes, file sizes and modification times.
  std::string QuickIdentity() const;

 private:
  void Note(std::string note);
  void MapShards();
  void SettleDType();
  void SettleTie();
  void Translate(Unpacking unpacking);
  void CheckComplete();
  void CheckTypes();

  std::filesystem::path directory_;
  ModelConfig config_;
  std::vector<TensorSpec> table_;
  std::vector<std::string> notes_;
  std::vector<std::shared_ptr<SafetensorsFile>> shards_;
  bool indexed_ = true;
  TensorViews tensors_;
  std::shared_ptr<const Translation> translation_;
};

}  // namespace ecld
