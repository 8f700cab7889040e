#include "checkpoint/generation_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <set>

#include "checkpoint/model_fields.h"
#include "core/error.h"
#include "core/files.h"
#include "core/log.h"

namespace ecld {
namespace {

constexpr double kLargest = std::numeric_limits<double>::max();

std::filesystem::path FileOf(const std::filesystem::path& directory) { return directory / "generation_config.json"; }

// An empty object where the file is not there.
Json ReadObject(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return Json::object();
  Json json = ParseJson(QuotePythonNumbers(ReadTextFile(path)), path.string());
  if (!json.is_object()) Fail(path.string(), "is no JSON object");
  return json;
}

std::optional<double> Number(const JsonView& json, const char* key, double lowest, double highest,
                             const char* expected) {
  if (!json.Has(key)) return std::nullopt;
  const double value = json.At(key).Number();
  if (!(value >= lowest && value <= highest)) Fail(json.At(key).Where(), "is {}, expected {}", value, expected);
  return value;
}

void Add(const std::vector<int64_t>& ids, std::vector<int64_t>* all) {
  for (int64_t id : ids)
    if (std::ranges::find(*all, id) == all->end()) all->push_back(id);
}

}  // namespace

SamplingValues SamplingValues::Or(const SamplingValues& others) const {
  SamplingValues result = *this;
  const auto fill = [](auto* value, const auto& other) {
    if (!*value) *value = other;
  };
  fill(&result.temperature, others.temperature);
  fill(&result.top_k, others.top_k);
  fill(&result.top_p, others.top_p);
  fill(&result.min_p, others.min_p);
  fill(&result.repetition_penalty, others.repetition_penalty);
  fill(&result.frequency_penalty, others.frequency_penalty);
  fill(&result.presence_penalty, others.presence_penalty);
  return result;
}

std::string SamplingValues::Text() const {
  std::vector<std::string> parts;
  const auto say = [&](const char* name, const auto& value) {
    if (value) parts.push_back(fmt::format("{} {}", name, *value));
  };
  say("temperature", temperature);
  say("top_k", top_k);
  say("top_p", top_p);
  say("min_p", min_p);
  say("repetition_penalty", repetition_penalty);
  say("frequency_penalty", frequency_penalty);
  say("presence_penalty", presence_penalty);
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<int64_t> ReadTokenIds(const JsonView& json, const char* key, int64_t vocab_size) {
  std::vector<int64_t> ids;
  if (!json.Has(key)) return ids;
  const JsonView value = json.At(key);
  if (value.json().is_array())
    for (size_t i = 0; i < value.Size(); ++i) ids.push_back(value.At(i).Int());
  else
    ids.push_back(value.Int());
  std::erase_if(ids, [&](int64_t id) { return id < 0 || id >= vocab_size; });
  return ids;
}

std::vector<int64_t> EndIds(const std::filesystem::path& directory, const ModelConfig& config,
                            std::optional<int64_t> tokenizer_eos) {
  const Json json = ReadObject(FileOf(directory));
  const JsonView view(json, FileOf(directory).string());
  const std::vector<int64_t> generation = ReadTokenIds(view, "eos_token_id", config.vocab_size);
  std::vector<int64_t> all;
  Add(config.eos_ids, &all);
  if (tokenizer_eos) Add({*tokenizer_eos}, &all);
  Add(generation, &all);

  // The tokenizer names one by nature; the two lists mean the same and should be the same.
  const auto differ = [](const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
    return !a.empty() && !b.empty() && std::set(a.begin(), a.end()) != std::set(b.begin(), b.end());
  };
  const bool alone = tokenizer_eos && all.size() > 1 &&
                     std::ranges::find(config.eos_ids, *tokenizer_eos) == config.eos_ids.end() &&
                     std::ranges::find(generation, *tokenizer_eos) == generation.end();
  if (differ(config.eos_ids, generation) || alone)
    LogInfo(
        "{}: the end of a text is {} in config.json, {} in the tokenizer and {} in generation_config.json; each of "
        "them ends one",
        directory.string(), Json(config.eos_ids).dump(), tokenizer_eos ? std::to_string(*tokenizer_eos) : "nothing",
        Json(generation).dump());
  return all;
}

SamplingValues ReadSamplingDefaults(const std::filesystem::path& directory) {
  // Without the file, what older programs wrote into config.json counts, as in transformers.
  std::filesystem::path path = FileOf(directory);
  if (!std::filesystem::exists(path)) path = directory / "config.json";
  const Json json = ReadObject(path);
  const JsonView view(json, path.string());
  for (const KnownField& field : GenerationFields())
    if (const std::string key(field.name); AsksForMore(view, field))
      Fail(view.At(key).Where(),
           "is {}, which this program does not do; --generation-config none draws without regard to this file",
           json[key].dump());
  SamplingValues values;
  values.temperature =
      Number(view, "temperature", 0, kLargest, "0 (always the most likely token) or a positive number");
  if (view.Has("top_k")) {
    values.top_k = view.At("top_k").Int();
    if (*values.top_k == -1) values.top_k = 0;  // another way to say all
    if (*values.top_k < 0)
      Fail(view.At("top_k").Where(), "is {}, expected 0 (all) or a positive number", *values.top_k);
  }
  constexpr double kAboveZero = std::numeric_limits<double>::min();
  values.top_p = Number(view, "top_p", kAboveZero, 1, "a number above 0 and at most 1");
  values.min_p = Number(view, "min_p", 0, 1, "a number from 0 to 1");
  values.repetition_penalty =
      Number(view, "repetition_penalty", kLeastRepetitionPenalty, kMostRepetitionPenalty, "a number from 0.01 to 100");
  if (view.Has("do_sample")) {
    if (!view.At("do_sample").Bool())
      values.temperature = 0;
    else if (!values.temperature)
      values.temperature = 1;
  }
  return values;
}

}  // namespace ecld
