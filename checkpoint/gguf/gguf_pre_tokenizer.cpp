#include <array>

#include "checkpoint/gguf/gguf_tokenizer.h"
#include "core/error.h"

namespace ecld {
namespace {

// The patterns are part of the models' published tokenizers.
constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
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

}  // namespace

PreTokenizerSteps FindPreTokenizer(const std::string& name, const std::string& where) {
  std::string known;
  for (const Row& row : kRows) {
    if (row.name == name) return {row.nfc ? Json{{"type", "NFC"}} : Json(nullptr), CutJson(row), row.ignore_merges};
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  Fail(where, "tokenizer.ggml.pre: pre-tokenizer \"{}\" is not supported; {} are", name, known);
}

}  // namespace ecld
