#include "checkpoint/side_files.h"

#include <algorithm>
#include <set>
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

bool IsWeights(const std::string& name) {
  return std::ranges::any_of(kWeightEndings, [&](std::string_view ending) { return name.ends_with(ending); });
}

bool HoldsWeights(const fs::path& folder) {
  for (const auto& entry : fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied))
    if (IsWeights(entry.path().filename().string())) return true;
  return false;
}

// The files with the directory's own weights, where it is a model's.
std::set<std::string> ShardNames(const fs::path& directory) {
  std::set<std::string> names;
  if (!fs::exists(directory / "config.json")) return names;
  for (const fs::path& path : FindShardFiles(directory).paths) names.insert(path.filename().string());
  return names;
}

std::string WhyLeftOut(const fs::path& path, Weights weights) {
  const std::string name = path.filename().string();
  for (const Reason& reason : kOfOtherForms)
    if (name == reason.name) return std::string(reason.why);
  if (IsWeights(name)) return "weights that are not read";
  if (weights == Weights::kSame) return "";
  for (const Reason& reason : kUntrueAfterPass)
    if (name == reason.name || (reason.name == "imatrix.dat" && name.ends_with(".imatrix")))
      return std::string(reason.why);
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
    if (entry.is_directory(error)) {
      if (HoldsWeights(entry.path()))
        found.left_out.push_back({name + "/", "it holds weights that are not read"});
      else
        found.carried.push_back(name);
    } else if (entry.is_regular_file(error)) {
      if (std::string why = WhyLeftOut(entry.path(), weights); !why.empty())
        found.left_out.push_back({name, std::move(why)});
      else
        found.carried.push_back(name);
    }
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
