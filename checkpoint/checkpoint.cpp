#include "checkpoint/checkpoint.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <set>

#include "checkpoint/foreign/translation.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/log.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIndexName = "model.safetensors.index.json";
constexpr const char* kSingleName = "model.safetensors";

// The shard files of a directory, and for an index the tensors it promises.
std::vector<fs::path> ShardPaths(const fs::path& directory, std::map<std::string, std::string>* promised) {
  if (!fs::exists(directory / kIndexName)) {
    if (fs::exists(directory / kSingleName)) return {directory / kSingleName};
    if (fs::exists(directory / "pytorch_model.bin"))
      Fail(directory.string(), "holds pytorch_model.bin; only safetensors is read: convert it first");
    Fail(directory.string(), "holds neither {} nor {}", kSingleName, kIndexName);
  }
  Json index = ReadJsonFile(directory / kIndexName);
  JsonView map = JsonView(index, (directory / kIndexName).string()).At("weight_map");
  std::set<std::string> names;
  for (const auto& tensor : map.Keys()) {
    std::string file = map.At(tensor).String();
    if (file.find('/') != std::string::npos || file.empty())
      Fail(map.At(tensor).Where(), "\"{}\" is not a file name inside the checkpoint", file);
    if (names.insert(file).second && !fs::exists(directory / file))
      Fail((directory / file).string(), "shard is missing (named by {})", kIndexName);
    promised->emplace(tensor, file);
  }
  std::vector<fs::path> paths;
  for (const auto& name : names) paths.push_back(directory / name);
  return paths;
}

bool KnownExtra(std::string_view name, const ModelConfig& config) {
  return name.ends_with("rotary_emb.inv_freq") || (config.tie_embeddings && name.starts_with("lm_head."));
}

}  // namespace

Checkpoint Checkpoint::Open(const fs::path& directory, Unpacking unpacking) {
  if (!fs::is_directory(directory)) {
    if (directory.extension() == ".gguf")
      Fail(directory.string(), "is a GGUF file; turn it into a checkpoint directory with `ecld import` first");
    Fail(directory.string(), "is not a checkpoint directory");
  }
  Checkpoint checkpoint;
  checkpoint.directory_ = directory;
  checkpoint.config_ = ReadConfig(directory / "config.json");
  checkpoint.MapShards();
  checkpoint.Translate(unpacking);
  checkpoint.CheckComplete();
  return checkpoint;
}

Checkpoint Checkpoint::OpenStaged(const fs::path& directory, ModelConfig config) {
  Checkpoint checkpoint;
  checkpoint.directory_ = directory;
  checkpoint.config_ = std::move(config);
  checkpoint.table_ = TensorTable(checkpoint.config_);
  for (const auto& entry : fs::directory_iterator(directory))
    if (entry.path().extension() == ".safetensors")
      checkpoint.shards_.push_back(std::make_shared<SafetensorsFile>(entry.path()));
  for (const auto& shard : checkpoint.shards_)
    checkpoint.tensors_.insert(shard->tensors().begin(), shard->tensors().end());
  return checkpoint;
}

void Checkpoint::MapShards() {
  std::map<std::string, std::string> promised;
  for (const auto& path : ShardPaths(directory_, &promised)) {
    shards_.push_back(std::make_shared<SafetensorsFile>(path));
    for (const auto& [name, view] : shards_.back()->tensors()) {
      if (!tensors_.emplace(name, view).second) Fail(path.string(), "tensor \"{}\" is also in another shard", name);
      promised.erase(name);
    }
  }
  if (!promised.empty())
    Fail((directory_ / promised.begin()->second).string(), "tensor \"{}\" is missing (promised by {})",
         promised.begin()->first, kIndexName);
  if (!config_.source.contains("dtype") && !config_.source.contains("torch_dtype"))
    if (auto it = tensors_.find("model.norm.weight"); it != tensors_.end() && SizeOf(it->second.dtype) <= 4 &&
                                                      SizeOf(it->second.dtype) >= 2 && IsFloat(it->second.dtype))
      config_.dtype = it->second.dtype;
  // A tied matrix may be stored under either of its two names.
  if (config_.tie_embeddings && !Has("model.embed_tokens.weight"))
    if (auto it = tensors_.find("lm_head.weight"); it != tensors_.end()) {
      TensorView view = it->second;
      tensors_.erase(it);
      tensors_.emplace("model.embed_tokens.weight", view);
    }
}

void Checkpoint::Translate(Unpacking unpacking) {
  std::optional<ForeignConfig> foreign = std::move(config_.foreign);
  config_.foreign.reset();
  // The file may be left from another form of the model; codes are what tells.
  if (foreign || std::any_of(tensors_.begin(), tensors_.end(),
                             [](const auto& tensor) { return tensor.first.ends_with(".qweight"); }))
    ReadQuantizeFile(directory_, &foreign);
  if (!foreign) foreign = FindFloatScales(directory_, config_, tensors_);
  if (!foreign) return;
  const std::string identity = Sha256Hex(QuickIdentity() + foreign->source.dump());
  translation_ = Translation::Plan(directory_, *foreign, unpacking, identity, &config_, &tensors_);
  if (!translation_) return;
  for (const std::string& note : translation_->Notes()) LogInfo("{}: {}", directory_.string(), note);
  for (const std::string& note : translation_->unapplied()) LogWarning("{}: {}", directory_.string(), note);
}

void Checkpoint::CheckComplete() {
  table_ = TensorTable(config_);
  std::set<std::string_view> expected;
  auto parts = StoredTensors(config_);
  for (const auto& part : parts) {
    expected.insert(part.name);
    if (!Has(part.name)) Fail(directory_.string(), "tensor \"{}\" {} is missing", part.name, ShapeText(part.shape));
    const StoredTensor view = Stored(part.name);
    if (view.shape != part.shape)
      Fail(directory_.string(), "tensor \"{}\" has shape {}, config.json needs {}", part.name, ShapeText(view.shape),
           ShapeText(part.shape));
    // Any float type may hold a weight or a scale; packed codes have exactly one type.
    bool type_fits = IsFloat(part.dtype) ? IsFloat(view.dtype) : view.dtype == part.dtype;
    if (!type_fits)
      Fail(directory_.string(), "tensor \"{}\" has type {}, expected {}", part.name, Name(view.dtype),
           IsFloat(part.dtype) ? "a float type" : Name(part.dtype));
  }
  for (const auto& spec : table_) {
    if (!spec.format || (translation_ && translation_->Has(spec.module + ".weight_shape"))) continue;
    int64_t shape[2];
    std::memcpy(shape, Tensor(spec.module + ".weight_shape").bytes.data(), sizeof(shape));
    if (shape[0] != spec.shape[0] || shape[1] != spec.shape[1])
      Fail(directory_.string(), "{}.weight_shape says [{}, {}], config.json needs {}", spec.module, shape[0], shape[1],
           ShapeText(spec.shape));
  }
  int64_t extra = 0;
  std::string example;
  for (const auto& [name, view] : tensors_)
    if (!expected.contains(name) && !KnownExtra(name, config_) && ++extra == 1) example = name;
  if (extra > 0)
    LogWarning("{}: {} tensors are not part of this architecture and are ignored (first: {})", directory_.string(),
               extra, example);
}

bool Checkpoint::Has(std::string_view name) const {
  return tensors_.contains(name) || (translation_ && translation_->Has(name));
}

StoredTensor Checkpoint::Stored(std::string_view name) const {
  if (translation_ && translation_->Has(name)) return translation_->Stored(name);
  const TensorView& view = Tensor(name);
  return {std::string(name), view.dtype, view.shape};
}

const TensorView& Checkpoint::Tensor(std::string_view name) const {
  if (translation_ && translation_->Has(name)) return translation_->Tensor(name);
  auto it = tensors_.find(name);
  if (it == tensors_.end()) Fail(directory_.string(), "tensor \"{}\" is missing", name);
  return it->second;
}

WeightView Checkpoint::Weight(const TensorSpec& spec) const {
  assert(spec.matrix());
  WeightView weight;
  weight.out_features = spec.shape[0];
  weight.in_features = spec.shape[1];
  if (!spec.format) {
    const TensorView& tensor = Tensor(spec.name);
    weight.dtype = tensor.dtype;
    weight.data = tensor.bytes.data();
    return weight;
  }
  weight.format = *spec.format;
  weight.codes = Tensor(spec.module + ".weight_packed").bytes.data();
  const TensorView& scales = Tensor(spec.module + ".weight_scale");
  weight.scales = scales.bytes.data();
  weight.scale_dtype = scales.dtype;
  if (!weight.format.symmetric) weight.zero_points = Tensor(spec.module + ".weight_zero_point").bytes.data();
  return weight;
}

WeightView Checkpoint::Head() const {
  return Weight(Find(table_, config_.tie_embeddings ? Role::kEmbedding : Role::kHead));
}

std::vector<float> Checkpoint::ReadFloats(const TensorSpec& spec) const {
  std::vector<float> values(static_cast<size_t>(spec.Elements()));
  if (spec.matrix()) {
    WeightView weight = Weight(spec);
    for (int64_t row = 0; row < weight.out_features; ++row) ReadRow(weight, row, &values[row * weight.in_features]);
  } else {
    const TensorView& tensor = Tensor(spec.name);
    ToFloat(tensor.dtype, tensor.bytes.data(), values.size(), values.data());
  }
  for (size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      Fail(directory_.string(), "tensor \"{}\" holds {} at element {}", spec.name, values[i], i);
  return values;
}

void Checkpoint::DropPages(int64_t layer) const {
  for (const auto& spec : table_) {
    if (spec.layer != layer) continue;
    for (const auto& part : StoredForm(spec, config_)) MappedFile::DropPages(Tensor(part.name).bytes);
  }
}

uint64_t Checkpoint::WeightBytes() const {
  uint64_t bytes = translation_ ? translation_->Bytes() : 0;
  for (const auto& [name, view] : tensors_) bytes += view.bytes.size();
  return bytes;
}

std::string Checkpoint::ConfigSha256() const { return Sha256HexOfFile(directory_ / "config.json"); }

std::string Checkpoint::QuickIdentity() const {
  if (translation_) return translation_->identity();
  Sha256 hash;
  hash.Update(ConfigSha256());
  for (const auto& [name, view] : tensors_)
    hash.Update(fmt::format("{} {} {}\n", name, Name(view.dtype), ShapeText(view.shape)));
  for (const auto& shard : shards_)
    hash.Update(fmt::format("{} {} {}\n", shard->path().filename().string(), fs::file_size(shard->path()),
                            fs::last_write_time(shard->path()).time_since_epoch().count()));
  return hash.HexDigest();
}

}  // namespace ecld
