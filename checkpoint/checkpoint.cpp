#include "checkpoint/checkpoint.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "checkpoint/foreign/translation.h"
#include "checkpoint/model_fields.h"
#include "checkpoint/shard_files.h"
#include "checkpoint/tensor_names.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/log.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEmbeddingModule = "model.embed_tokens.", kEmbedding = "model.embed_tokens.weight";
constexpr std::string_view kHead = "lm_head.weight";

// Whether config.json leaves the type of the weights to the weights.
bool DTypeIsOpen(const ModelConfig& config) {
  const JsonView json(config.source, "config.json");
  const std::string name = json.StringOr("dtype", json.StringOr("torch_dtype", "auto"));
  return name == "auto";
}

bool SameBytes(const TensorView& a, const TensorView& b) {
  const bool same =
      a.dtype == b.dtype && a.shape == b.shape && std::memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) == 0;
  MappedFile::DropPages(a.bytes);
  MappedFile::DropPages(b.bytes);
  return same;
}

UsedNames NamesOf(const std::vector<StoredTensor>& parts) {
  UsedNames names;
  for (const auto& part : parts) names.insert(part.name);
  return names;
}

}  // namespace

Checkpoint Checkpoint::Open(const fs::path& directory, Unpacking unpacking) {
  if (!fs::is_directory(directory)) {
    if (directory.extension() == ".gguf")
      Fail(directory.string(), "is a GGUF file; turn it into a checkpoint directory with `ecld import` first");
    Fail(directory.string(), "is not a checkpoint directory");
  }
  RefuseOtherForms(directory);
  Checkpoint checkpoint;
  checkpoint.directory_ = directory;
  checkpoint.config_ = ReadConfig(directory / "config.json");
  for (const std::string& note : checkpoint.config_.notes) checkpoint.Note("config.json: " + note);
  for (std::string& note : SideFileNotes(directory)) checkpoint.Note(std::move(note));
  checkpoint.MapShards();
  checkpoint.SettleDType();
  checkpoint.SettleTie();
  checkpoint.Translate(unpacking);
  checkpoint.CheckComplete();
  checkpoint.CheckTypes();
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

// Logged at once: what is wrong with a directory may only be seen later.
void Checkpoint::Note(std::string note) {
  WarnOnce(directory_.string(), note);
  notes_.push_back(std::move(note));
}

void Checkpoint::MapShards() {
  ShardFiles files = FindShardFiles(directory_);
  indexed_ = files.indexed;
  for (std::string& note : files.notes) Note(std::move(note));
  for (const auto& path : files.paths) {
    shards_.push_back(std::make_shared<SafetensorsFile>(path));
    for (const auto& [name, view] : shards_.back()->tensors()) {
      if (!tensors_.emplace(name, view).second) Fail(path.string(), "tensor \"{}\" is also in another shard", name);
      files.promised.erase(name);
    }
  }
  std::erase_if(files.promised, [](const auto& promise) { return IsBuffer(promise.first); });
  if (!files.promised.empty())
    Fail((directory_ / files.promised.begin()->second).string(), "tensor \"{}\" is missing (promised by the index)",
         files.promised.begin()->first);
  if (auto note = UseStandardNames(&tensors_)) Note(std::move(*note));
}

void Checkpoint::SettleDType() {
  if (!DTypeIsOpen(config_)) return;
  if (auto it = tensors_.find("model.norm.weight"); it != tensors_.end() && SizeOf(it->second.dtype) <= 4 &&
                                                    SizeOf(it->second.dtype) >= 2 && IsFloat(it->second.dtype))
    config_.dtype = it->second.dtype;
}

// A tied matrix may be stored under either of its two names. Under both, with different values, it is not tied, as
// transformers has it.
void Checkpoint::SettleTie() {
  const auto head = tensors_.find(kHead);
  if (!config_.tie_embeddings || head == tensors_.end()) return;
  const auto embedding = tensors_.lower_bound(kEmbeddingModule);  // its weight, or the parts of a packed one
  if (embedding != tensors_.end() && embedding->first.starts_with(kEmbeddingModule) &&
      !SameBytes(head->second, embedding->second)) {
    config_.tie_embeddings = false;
    return Note(fmt::format("tie_word_embeddings is true, but {} is stored and is not {}: they are not tied", kHead,
                            kEmbedding));
  }
  const TensorView view = head->second;
  tensors_.erase(head);
  tensors_.emplace(kEmbedding, view);
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
  for (const std::string& note : translation_->unapplied()) Note(note);
}

void Checkpoint::CheckComplete() {
  table_ = TensorTable(config_);
  const auto parts = StoredTensors(config_);
  for (const auto& part : parts) {
    if (!Has(part.name))
      Fail(directory_.string(), "tensor \"{}\" {} is missing{}", part.name, ShapeText(part.shape),
           HintOfUnused(NamesOf(parts), tensors_));
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
  for (std::string& note : DropUnused(directory_.string(), config_, NamesOf(parts), &tensors_)) Note(std::move(note));
}

// A pass writes what it computes in the type that config.json says; values stored in another may not fit it.
void Checkpoint::CheckTypes() {
  for (const auto& spec : table_) {
    if (spec.format || !spec.matrix()) continue;
    const DType stored = Stored(spec.name).dtype;
    if (stored == config_.dtype || config_.dtype == DType::kF32) continue;
    return Note(fmt::format("{} and others are stored as {}, but config.json says {}, which is what passes write",
                            spec.name, Name(stored), Name(config_.dtype)));
  }
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
    if (spec.stored_less != 0)
      for (float& value : values) value += spec.stored_less;
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
