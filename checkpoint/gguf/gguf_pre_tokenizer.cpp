#include <array>

#include "checkpoint/gguf/gguf_tokenizer.h"
#include "checkpoint/tokenizer/pre_tokenizer.h"
#include "core/error.h"

namespace ecld {
namespace {

// The patterns are part of the models' published tokenizers.
constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekkenPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// How a text is cut into the words within which tokens are merged.
enum class Cut { kPattern, kGpt2, kDigitsThenGpt2 };

struct Row {
  std::string_view name;  // as in tokenizer.ggml.pre
  Cut cut;
  std::string_view pattern;  // kPattern
  bool nfc;                  // the text is brought to Unicode form C first
  bool ignore_merges;
};

constexpr std::array kRows = {
    Row{"llama-bpe", Cut::kPattern, kLlama3Pattern, false, true},
    Row{"qwen2", Cut::kPattern, kQwen2Pattern, true, false},
    Row{"deepseek-r1-qwen", Cut::kPattern, kQwen2Pattern, true, false},
    Row{"tekken", Cut::kPattern, kTekkenPattern, false, true},
    Row{"smollm", Cut::kDigitsThenGpt2, "", false, false},
    Row{"gpt-2", Cut::kGpt2, "", false, false},
};

Json ByteLevel(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

Json CutJson(const Row& row) {
  if (row.cut == Cut::kGpt2) return ByteLevel(true);
  Json steps = Json::array();
  if (row.cut == Cut::kDigitsThenGpt2) {
    steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
  } else {
    steps.push_back(
        {{"type", "Split"}, {"pattern", {{"Regex", row.pattern}}}, {"behavior", "Isolated"}, {"invert", false}});
  }
  steps.push_back(ByteLevel(row.cut == Cut::kDigitsThenGpt2));
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

// The steps that matter of a "pre_tokenizer", one after the other; two that cut alike give the same list.
void Flatten(const Json& json, std::vector<std::string>* steps) {
  const std::string type = json.value("type", "");
  if (type == "Sequence") {
    for (const Json& part : json.value("pretokenizers", Json::array())) Flatten(part, steps);
  } else if (type == "ByteLevel") {
    if (json.value("use_regex", true)) steps->push_back("gpt-2");
    steps->push_back(json.value("add_prefix_space", true) ? "bytes after a space" : "bytes");
  } else {
    steps->push_back(json.dump());  // Split and Digits have no option that would not matter
  }
}

std::vector<std::string> StepsOf(const Json& json) {
  std::vector<std::string> steps;
  if (json.is_object()) Flatten(json, &steps);
  return steps;
}

}  // namespace

std::string PreTokenizerName(const Json& tokenizer, const std::string& where) {
  const Json none = nullptr;
  const Json& normalizer = tokenizer.contains("normalizer") ? tokenizer["normalizer"] : none;
  const bool nfc = normalizer == Json{{"type", "NFC"}};
  const std::vector<std::string> steps =
      StepsOf(tokenizer.contains("pre_tokenizer") ? tokenizer["pre_tokenizer"] : none);
  std::string known;
  for (const Row& row : kRows) {
    if ((nfc == row.nfc) && (nfc || normalizer.is_null()) && steps == StepsOf(CutJson(row)))
      return std::string(row.name);
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  Fail(where + ": pre_tokenizer", "is none that GGUF has a name for here; those of {} are", known);
}

PreTokenizerSteps FindPreTokenizer(const std::string& name, const std::string& where) {
  std::string known;
  for (const Row& row : kRows) {
    if (row.name == name) return {row.nfc ? Json{{"type", "NFC"}} : Json(nullptr), CutJson(row), row.ignore_merges};
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  Fail(where, "tokenizer.ggml.pre: pre-tokenizer \"{}\" is not supported; {} are", name, known);
}

}  // namespace ecld
