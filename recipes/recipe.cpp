#include "recipes/recipe.h"

#include <cstdio>
#include <limits>
#include <set>

#include "core/error.h"
#include "core/yaml_reader.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxSeed = std::numeric_limits<int64_t>::max();

// A path of the recipe means the same after the resolved recipe was stored somewhere else.
std::string ReadPath(Options& options, const std::string& key, const fs::path& base) {
  std::string path = options.String(key, "");
  if (path.empty() || base.empty() || fs::path(path).is_absolute()) return path;
  path = fs::absolute(base / path).lexically_normal().string();
  options.Set(key, path);
  return path;
}

// "text" is the path of a file, or a list of files.
std::vector<TextSource> ReadSources(Options& options, const fs::path& base) {
  std::vector<TextSource> sources;
  if (const YAML::Node text = options.resolved()["text"]; !text.IsDefined() || !text.IsSequence()) {
    const std::string path = ReadPath(options, "text", base);
    if (!path.empty()) sources.emplace_back(path);
    return sources;
  }
  for (Options& item : options.List("text")) {
    TextSource source(ReadPath(item, "path", base));
    if (source.path.empty()) Fail(item.Where("path"), "names no file");
    source.format = item.Choice("format", source.format, kTextFormats);
    source.field = item.String("field", "");
    source.weight = item.Number("weight", source.weight, kLeastWeight, kMostWeight);
    item.Finish();
    sources.push_back(std::move(source));
  }
  if (sources.empty()) Fail(options.Where("text"), "is an empty list; name a file, or leave it out");
  return sources;
}

CalibrationOptions ReadCalibration(Options options, uint64_t seed, const fs::path& base) {
  CalibrationOptions calibration;
  calibration.source = options.Choice("source", calibration.source, {"text", "model"});
  calibration.texts = ReadSources(options, base);
  if (calibration.FromModel() && !calibration.texts.empty())
    Fail(options.Where("text"), "is of no use where source is model: the model writes the windows itself; remove one");
  calibration.windows = options.Int("windows", calibration.windows, 1, 1 << 20);
  calibration.window_tok = options.Int("window_tok", calibration.window_tok, 2, 1 << 20);
  calibration.choice = options.Choice("choice", calibration.choice, {"even", "random"});
  calibration.seed = static_cast<uint64_t>(options.Int("seed", static_cast<int64_t>(seed), 0, kMaxSeed));
  options.Finish();
  return calibration;
}

// stages: how many the recipe has.
std::vector<Variation> ReadVariations(Options& root, size_t stages) {
  std::vector<Variation> variations;
  std::set<std::string> seen;
  for (Options& item : root.List("search")) {
    Variation variation{.at = item.String("at", ""), .values = item.Strings("values", {})};
    unsigned stage = 0;
    int key = 0;
    if (std::sscanf(variation.at.c_str(), "stages.%u.%n", &stage, &key) != 1 || key == 0 ||
        static_cast<size_t>(key) == variation.at.size())
      Fail(item.Where("at"), "\"{}\" is no option of a stage, like \"stages.0.bits\"", variation.at);
    if (stage >= stages) Fail(item.Where("at"), "there is no stages.{}; the recipe has {}", stage, stages);
    if (!seen.insert(variation.at).second) Fail(item.Where("at"), "{} is varied twice", variation.at);
    if (variation.values.size() < 2) Fail(item.Where("values"), "lists fewer than two values to choose from");
    variation.stage = stage;
    variations.push_back(std::move(variation));
    item.Finish();
  }
  return variations;
}

}  // namespace

std::string Recipe::Resolved() const { return WriteYaml(root.resolved()); }

Recipe ParseRecipe(std::string_view text, const std::string& where, const std::vector<std::string>& overrides,
                   const fs::path& base) {
  YAML::Node tree = ReadYaml(text, where);
  if (!tree.IsMap()) Fail(where, "is not a recipe; expected a mapping with version, name and stages");
  for (const auto& assignment : overrides) ApplyOverride(tree, assignment);

  Options root(tree, where, "");
  if (!root.Has("version")) Fail(where, "has no version; this ECLD reads recipes with version: 1");
  if (int64_t version = root.Int("version", 1, 0, kMaxSeed); version != 1)
    Fail(root.Where("version"), "{} is not a version this ECLD reads; it reads 1", version);
  std::string name = root.String("name", fs::path(where).stem().string());
  std::string description = root.String("description", "");
  uint64_t seed = static_cast<uint64_t>(root.Int("seed", 0, 0, kMaxSeed));
  std::string teacher = ReadPath(root, "teacher", base);
  CalibrationOptions calibration;
  calibration.seed = seed;
  if (root.Has("calibration")) calibration = ReadCalibration(root.Map("calibration"), seed, base);

  if (!root.Has("stages")) Fail(where, "has no stages; a recipe lists at least one, like \"- pass: quantize.round\"");
  std::vector<Stage> stages;
  for (Options& options : root.List("stages")) {
    if (!options.Has("pass")) Fail(options.Where(), "names no pass, like \"pass: quantize.round\"");
    std::string pass = options.String("pass", "");
    stages.push_back({pass, options});
  }
  if (stages.empty()) Fail(root.Where("stages"), "is empty; a recipe lists at least one stage");
  std::vector<Variation> variations;
  if (root.Has("search")) variations = ReadVariations(root, stages.size());
  root.Finish();
  return Recipe{name, description, seed, teacher, calibration, std::move(stages), std::move(variations), root};
}

}  // namespace ecld
