// What becomes of each matrix: Translation::Plan.

#include <algorithm>
#include <map>
#include <set>

#include "checkpoint/foreign/translation.h"
#include "core/error.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

// Parts of a module that only a runtime which rounds activations, keys or values has a use for.
const std::set<std::string_view> kActivationParts = {
    "input_scale",      "input_zero_point", "input_scale_ub", "input_observer", "output_scale", "output_zero_point",
    "activation_scale", "k_scale",          "v_scale",        "q_scale",        "k_zero_point", "v_zero_point"};

}  // namespace

class Translation::Planner {
 public:
  Planner(const fs::path& directory, const ForeignConfig& foreign, const ModuleNames& names, Unpacking unpacking,
          TensorMap* tensors)
      : where_(directory.string()),
        foreign_(foreign),
        names_(names),
        dense_(unpacking == Unpacking::kDense),
        tensors_(*tensors) {}

  // Fills result.entries_ and what Formats says.
  void Plan(const ModelConfig& config, Translation& result) {
    for (const TensorSpec& spec : TensorTable(config)) {
      if (!spec.matrix()) continue;
      Entry entry{.spec = spec};
      const ModuleTensors module(spec, tensors_, where_);
      FindTransform(module, &entry);
      FindMatrix(module, &entry);
      if (entry.spec.format) formats_.emplace_back(spec.module, *entry.spec.format);
      if (spec.role != Role::kEmbedding && !entry.spec.format) dense_linears_.push_back(spec.module);
      if (!entry.matrix) continue;
      for (const std::string& name : entry.matrix->consumed()) Consume(name, &entry);
      if (entry.hadamard_view) Consume(entry.hadamard_name, &entry);
      result.entries_.push_back(std::move(entry));
    }
    RequireTargets(config);
    DropActivationParts(result);
    if (open_blocks_.empty()) return;
    std::string blocks;
    for (const auto& [block, count] : open_blocks_)
      blocks += fmt::format("{}{} for {}", blocks.empty() ? "" : ", ", block, count);
    result.readings_.push_back(
        fmt::format("no config says the blocks of the 8-bit floats' scales; read as their number says: {}", blocks));
  }

  // The quantization_config that says which matrix has which of our formats.
  std::optional<QuantizationConfig> Formats(bool tied) const {
    if (formats_.empty()) return std::nullopt;
    std::vector<QuantizationConfig::Group> groups;
    for (const auto& [module, format] : formats_) {
      auto group = std::ranges::find(groups, format, &QuantizationConfig::Group::format);
      if (group == groups.end()) group = groups.insert(groups.end(), {"", {}, format});
      group->targets.push_back(module);
    }
    std::stable_sort(groups.begin(), groups.end(),
                     [](const auto& a, const auto& b) { return a.targets.size() > b.targets.size(); });
    // The most usual one is the one of all linears; an embedding is not one of them.
    std::erase_if(groups[0].targets, [](const std::string& name) { return name != kEmbeddingModule; });
    groups[0].targets.insert(groups[0].targets.begin(), "Linear");
    for (size_t i = 0; i < groups.size(); ++i) groups[i].name = fmt::format("group_{}", i);
    QuantizationConfig config{std::move(groups), dense_linears_};
    if (tied) config.ignore.push_back("lm_head");
    return config;
  }

 private:
  static constexpr std::string_view kEmbeddingModule = "model.embed_tokens";

  static std::string_view ClassOf(const TensorSpec& spec) {
    return spec.role == Role::kEmbedding ? "Embedding" : "Linear";
  }

  // A transform that reaches no matrix may be one of modules by names that are not known here: its weights were
  // changed.
  void RequireTargets(const ModelConfig& config) const {
    const std::vector<TensorSpec> table = TensorTable(config);
    for (const InputTransform& transform : foreign_.transforms) {
      const std::string where = fmt::format("{}: transform_config: {}", where_, transform.name);
      if (transform.targets.empty()) Fail(where, "names no targets; expected the linears that it is for");
      for (const std::string& target : transform.targets) {
        const std::vector<InputTransform> one = {{.targets = {target}}};
        if (std::ranges::none_of(table, [&](const TensorSpec& spec) {
              return spec.matrix() && MostSpecific(one, {}, names_.Of(spec.module), ClassOf(spec));
            }))
          Fail(where, "the target \"{}\" is no linear of this model, so what it transforms is not known", target);
      }
    }
  }

  void FindTransform(const ModuleTensors& module, Entry* entry) const {
    const TensorSpec& spec = module.spec();
    for (const InputTransform& transform : foreign_.transforms) {
      const std::vector<InputTransform> one = {transform};
      if (!MostSpecific(one, transform.ignore, names_.Of(spec.module), ClassOf(spec))) continue;
      const std::string where = fmt::format("{}: transform_config: {}", where_, transform.name);
      if (spec.role == Role::kEmbedding) Fail(where, "{} takes tokens, which no matrix can transform", spec.module);
      if (entry->hadamard > 0) Fail(where, "{} has another transform already; expected one", spec.module);
      const int64_t in = spec.shape[1], block = transform.block > 0 ? transform.block : in;
      if (in % block != 0 || (block & (block - 1)) != 0)
        Fail(where, "{} has {} inputs, which blocks of {}, a power of two, do not divide", spec.module, in, block);
      entry->hadamard = block;
      entry->hadamard_name = module.NameOf(transform.name + "_input.weight");
      if (const auto stored = tensors_.find(entry->hadamard_name); stored != tensors_.end())
        entry->hadamard_view = stored->second;
    }
  }

  // The matrix to translate, or nothing where it stays as it is; and its format there will be.
  void FindMatrix(const ModuleTensors& module, Entry* entry) {
    const ForeignScheme* scheme = foreign_.SchemeOf(names_.Of(entry->spec.module), ClassOf(entry->spec));
    const bool must_be_dense = dense_ || entry->hadamard > 0;
    std::optional<PackedFormat> own;
    if (scheme) RequireCodes(module, *scheme);
    if (scheme && IsOwn(module, *scheme))
      own = scheme->Packed();
    else if (scheme)
      entry->matrix = MakeMatrix(module, *scheme);
    if (entry->matrix) CheckMatrix(module, *entry->matrix);
    if (!entry->matrix && (entry->hadamard > 0 || (own && must_be_dense))) entry->matrix = MakeOwnMatrix(module, own);
    if (!must_be_dense) entry->spec.format = entry->matrix ? entry->matrix->Packed() : own;
  }

  // THROWS Error for a module that compressed-tensors says is quantized and that is not. Other programs say by the
  // tensors alone which linears they left as they were.
  void RequireCodes(const ModuleTensors& module, const ForeignScheme& scheme) const {
    if (foreign_.method != kGroupsMethod || !module.Has("weight")) return;
    const DType dtype = module.At("weight").dtype;
    if (scheme.layout == ForeignLayout::kPacked ? module.Has("weight_packed") : SizeOf(dtype) == 1) return;
    module.Wrong("weight", fmt::format("is stored as {}, but quantization_config has it quantized; expected its codes, "
                                       "or \"{}\" among what it ignores",
                                       Name(dtype), names_.Of(module.spec().module)[0]));
  }

  void CheckMatrix(const ModuleTensors& module, const ForeignMatrix& matrix) {
    if (module.Has("weight") &&
        std::ranges::find(matrix.consumed(), module.NameOf("weight")) == matrix.consumed().end())
      module.Wrong("weight",
                   "is stored beside codes of the same matrix, and one of the two is not the model's; keep one");
    const ForeignScheme& read = matrix.scheme();
    if (read.block_is_open) ++open_blocks_[BlockText(read)];
  }

  static bool IsOwn(const ModuleTensors& module, const ForeignScheme& scheme) {
    constexpr const char* kZeros = "weight_zero_point";
    const bool zeros_fit =
        scheme.symmetric ? !module.Has(kZeros) : !module.Has(kZeros) || module.At(kZeros).dtype == DType::kI32;
    return scheme.layout == ForeignLayout::kPacked && !scheme.group_index && !module.Has("weight_g_idx") &&
           scheme.block_outputs == 1 && scheme.Packed() && zeros_fit &&
           (!module.Has("weight_packed") || PackedAsOurs(module, scheme));
  }

  void Consume(const std::string& name, Entry* entry) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) return;
    entry->sources.push_back(found->second.bytes);
    tensors_.erase(found);
  }

  void DropActivationParts(Translation& result) {
    bool found = false;
    for (auto it = tensors_.begin(); it != tensors_.end();) {
      const std::string_view name = it->first;
      const size_t dot = name.rfind('.');
      const bool drop = dot != std::string_view::npos && kActivationParts.contains(name.substr(dot + 1));
      found = found || drop;
      it = drop ? tensors_.erase(it) : std::next(it);
    }
    if (found && result.unapplied_.empty())
      result.unapplied_.push_back("scales of activations are stored and not used: activations are not rounded");
  }

  std::string where_;
  const ForeignConfig& foreign_;
  const ModuleNames& names_;
  bool dense_;
  TensorMap& tensors_;
  std::vector<std::pair<std::string, PackedFormat>> formats_;
  std::vector<std::string> dense_linears_;
  std::map<std::string, int64_t> open_blocks_;  // as text -> of how many matrices
};

std::optional<ForeignConfig> FindFloatScales(const fs::path& directory, const ModelConfig& config,
                                             const TensorMap& tensors) {
  if (config.quantization) return std::nullopt;
  for (const TensorSpec& spec : TensorTable(config)) {
    if (!spec.matrix() || FloatScaleOf(ModuleTensors(spec, tensors, directory.string())).empty()) continue;
    const Json json = {{"quant_method", "fp8"}};
    ForeignConfig found = ParseForeignConfig(JsonView(json, directory.string()));
    found.unapplied.clear();
    return found;
  }
  return std::nullopt;
}

std::shared_ptr<const Translation> Translation::Plan(const fs::path& directory, const ForeignConfig& foreign,
                                                     const ModuleNames& names, Unpacking unpacking,
                                                     const std::string& identity, ModelConfig* config,
                                                     TensorMap* tensors) {
  auto result = std::make_shared<Translation>();
  result->directory_ = directory;
  result->method_ = foreign.method;
  result->identity_ = identity;
  result->unapplied_ = foreign.unapplied;
  config->quantization.reset();
  Planner planner(directory, foreign, names, unpacking, tensors);
  planner.Plan(*config, *result);
  const auto native = foreign.Native();
  if (result->entries_.empty() && foreign.method != kGroupsMethod)
    Fail((directory / "config.json").string(),
         "says that the model is quantized ({}), and none of its tensors is; without quantization_config it is read as "
         "it is",
         foreign.method);
  const bool as_it_is = result->entries_.empty() && native;
  config->quantization = as_it_is && names.Standard() ? native : planner.Formats(config->tie_embeddings);
  if (as_it_is && result->unapplied_.empty()) return nullptr;
  const bool packed = std::any_of(result->entries_.begin(), result->entries_.end(),
                                  [](const Entry& entry) { return entry.spec.format.has_value(); });
  result->path_ = FileOf(directory, packed ? Unpacking::kKeep : Unpacking::kDense);
  result->LayOut(*config);
  return result;
}

}  // namespace ecld
