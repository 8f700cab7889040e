#include "checkpoint/side_files.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <span>
#include <string_view>

#include "checkpoint/shard_files.h"
#include "core/error.h"
#include "core/log.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

// Made anew for every directory, or the leftovers of a run.
constexpr std::string_view kOwn[] = {"config.json", "model.safetensors.index.json", "recipe.yaml", "report.json",
                                     "written.journal"};

constexpr std::string_view kWeightEndings[] = {
    ".safetensors", ".bin", ".pt",     ".pth", ".ckpt", ".h5",        ".msgpack",   ".gguf",       ".ggml",
    ".onnx",        ".npz", ".tflite", ".pte", ".nemo", ".mlpackage", ".onnx_data", ".index.json",
};

// Of tokenizers, templates, processors, code and licenses.
constexpr std::string_view kEndings[] = {".json", ".jinja", ".jinja2", ".model",     ".tiktoken", ".py",
                                         ".md",   ".vocab", ".bpe",    "merges.txt", "vocab.txt", "requirements.txt"};
constexpr std::string_view kBeginnings[] = {"LICENSE", "LICENCE",   "USE_POLICY", "NOTICE",
                                            "COPYING", "COPYRIGHT", "README"};

struct Reason {
  std::string_view name, why;
};
constexpr Reason kOfOtherForms[] = {
    {"params.json", "of weights in another form"},
    {"training_args.bin", "of a training run"},
    {"adapter_config.json", "of an adapter"},
    {"quantize_config.json", "of a quantization of the source"},
    {"quant_config.json", "of a quantization of the source"},
    {"hf_quant_config.json", "of a quantization of the source"},
};
constexpr Reason kUntrueAfterPass[] = {
    {"README.md", "it describes the model before"},
    {"eval_results.json", "it describes the model before"},
    {"all_results.json", "it describes the model before"},
    {"imatrix.dat", "it was measured on the weights before"},
};

bool IsOwn(const std::string& name) {
  return std::ranges::find(kOwn, name) != std::end(kOwn) || name.starts_with("ecld-") || name.starts_with(".") ||
         name.ends_with(".tmp") || name.ends_with(".lock") || name.ends_with(".partial");
}

bool EndsInOneOf(const std::string& name, std::span<const std::string_view> endings) {
  return std::ranges::any_of(endings, [&](std::string_view ending) { return name.ends_with(ending); });
}

bool IsOfModel(const std::string& name) {
  std::string upper = name;
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
  return EndsInOneOf(name, kEndings) ||
         std::ranges::any_of(kBeginnings, [&](std::string_view begin) { return upper.starts_with(begin); });
}

// The files with the directory's own weights, where it is a model's.
std::set<std::string> ShardNames(const fs::path& directory) {
  std::set<std::string> names;
  if (!fs::exists(directory / "config.json")) return names;
  for (const fs::path& path : FindShardFiles(directory).paths) names.insert(path.filename().string());
  return names;
}

// Empty: it is carried.
std::string WhyLeftOut(const std::string& name, Weights weights) {
  for (const Reason& reason : kOfOtherForms)
    if (name == reason.name) return std::string(reason.why);
  if (EndsInOneOf(name, kWeightEndings)) return "weights or a training state, which are not read";
  if (weights == Weights::kChanged)
    for (const Reason& reason : kUntrueAfterPass)
      if (name == reason.name) return std::string(reason.why);
  return IsOfModel(name) ? "" : "not known as a part of a model";
}

// A folder is carried when all in it is.
std::string WhyFolderLeftOut(const fs::path& folder, Weights weights) {
  std::error_code error;
  for (const auto& entry :
       fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied, error)) {
    if (entry.is_directory(error)) continue;
    const std::string why = WhyLeftOut(entry.path().filename().string(), weights);
    if (!why.empty()) return fmt::format("{} in it: {}", entry.path().lexically_relative(folder).string(), why);
  }
  return "";
}

}  // namespace

SideFiles FindSideFiles(const fs::path& directory, Weights weights) {
  SideFiles found;
  const std::set<std::string> shards = ShardNames(directory);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (IsOwn(name) || shards.contains(name)) continue;
    const bool folder = entry.is_directory(error);
    if (!folder && !entry.is_regular_file(error)) continue;
    std::string why = folder ? WhyFolderLeftOut(entry.path(), weights) : WhyLeftOut(name, weights);
    if (why.empty())
      found.carried.push_back(name);
    else
      found.left_out.push_back({folder ? name + "/" : name, std::move(why)});
  }
  std::ranges::sort(found.carried);
  std::ranges::sort(found.left_out, {}, &SideFiles::LeftOut::name);
  return found;
}

void CopySideFiles(const fs::path& from, const fs::path& to, Weights weights) {
  std::error_code error;
  if (fs::equivalent(from, to, error)) return;
  const SideFiles found = FindSideFiles(from, weights);
  for (const fs::path& name : found.carried) {
    fs::copy(from / name, to / name, fs::copy_options::overwrite_existing | fs::copy_options::recursive, error);
    if (error) Fail((to / name).string(), "cannot copy: {}", error.message());
  }
  for (const auto& file : found.left_out) LogInfo("{}: {} is left out: {}", from.string(), file.name, file.why);
}

}  // namespace ecld
