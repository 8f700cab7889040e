#include <algorithm>
#include <vector>

#include "checkpoint/gguf/gguf_tokenizer.h"
#include "checkpoint/tokenizer/pre_tokenizer.h"
#include "core/error.h"

namespace ecld {
namespace {

// The patterns are part of the models' published tokenizers.
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kMiniCpm5Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kSeedCoderPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekkenPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDeepSeekV3Pattern =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)"
    R"( ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Letters of scripts that have two cases.
constexpr std::string_view kDeepSeekLetters =
    R"(\s?[)"
    R"(A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF})"
    R"(\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1})"
    R"(\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5})"
    R"(\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A})"
    R"(\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B})"
    R"(\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC})"
    R"(\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107})"
    R"(\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134})"
    R"(\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4})"
    R"(\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787})"
    R"(\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A})"
    R"(\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2})"
    R"(\x{118A0}-\x{118DF}\x{1E900}-\x{1E943})"
    R"(]+)";
constexpr std::string_view kDeepSeekPunctuation =
    R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)";
constexpr std::string_view kDeepSeekHan = R"([\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+)";
constexpr std::string_view kDeepSeekV3Han = R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)";
constexpr std::string_view kFinnishWords = R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)";

// How a text is cut into the words within which tokens are merged: each step cuts what the one before left.
struct Row {
  std::string_view names;                       // as in tokenizer.ggml.pre; the first is the one that is written
  bool digits = false;                          // first, every digit by itself
  std::vector<std::string_view> patterns = {};  // then where these match
  bool gpt2 = false;                            // last, as GPT-2 does
  bool nfc = false;                             // before all, the text is brought to Unicode form C
  bool ignore_merges = false;
  bool add_bos = false;
};

const std::vector<Row>& Rows() {
  static const std::vector<Row> rows = {
      {.names = "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
       .patterns = {kLlama3Pattern},
       .ignore_merges = true,
       .add_bos = true},
      {.names = "qwen2 deepseek-r1-qwen kormo f2llmv2", .patterns = {kQwen2Pattern}, .nfc = true},
      {.names = "tekken", .patterns = {kTekkenPattern}, .ignore_merges = true, .add_bos = true},
      {.names = "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2", .digits = true, .gpt2 = true},
      {.names = "gpt-2 phi-2 mpt olmo jais a.x-4.0 mellum exaone4 trillion gigachat granite-docling modern-bert",
       .gpt2 = true},
      {.names = "dbrx smaug-bpe", .patterns = {kLlama3Pattern}},
      {.names = "megrez stablelm2 hunyuan solar-open grok-2", .patterns = {kQwen2Pattern}},
      {.names = "deepseek-llm",
       .patterns = {R"([\r\n])", kDeepSeekLetters, kDeepSeekPunctuation, R"(\s+$)", kDeepSeekHan, R"(\p{N}+)"}},
      {.names = "deepseek-coder", .patterns = {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kDeepSeekHan, R"(\p{N})"}},
      {.names = "deepseek-v3 hunyuan-dense joyai-llm",
       .patterns = {R"(\p{N}{1,3})", kDeepSeekV3Han, kDeepSeekV3Pattern}},
      {.names = "seed-coder", .patterns = {kSeedCoderPattern}},
      {.names = "minicpm5", .patterns = {R"(\p{N}{1,3})", kMiniCpm5Pattern}, .ignore_merges = true},
      {.names = "viking", .patterns = {kFinnishWords, R"(\p{N})"}},
      {.names = "falcon", .patterns = {R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2Pattern, "[0-9][0-9][0-9]"}},
      // No model's own: what llama.cpp does where a file does not say.
      {.names = kDefaultPreTokenizer,
       .patterns = {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2Pattern, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
  };
  return rows;
}

std::vector<std::string_view> NamesOf(const Row& row) {
  std::vector<std::string_view> names;
  for (std::string_view rest = row.names; !rest.empty();) {
    const size_t end = std::min(rest.find(' '), rest.size());
    names.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return names;
}

Json ByteLevel(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

Json CutJson(const Row& row) {
  Json steps = Json::array();
  if (row.digits) steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
  for (std::string_view pattern : row.patterns)
    steps.push_back(
        {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}});
  if (steps.empty()) return ByteLevel(row.gpt2);
  steps.push_back(ByteLevel(row.gpt2));
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
  for (const Row& row : Rows()) {
    if ((nfc == row.nfc) && (nfc || normalizer.is_null()) && steps == StepsOf(CutJson(row)))
      return std::string(NamesOf(row)[0]);
    known += (known.empty() ? "" : ", ") + std::string(NamesOf(row)[0]);
  }
  Fail(where + ": pre_tokenizer", "is none that GGUF has a name for here; those of {} are", known);
}

PreTokenizerSteps FindPreTokenizer(const std::string& name, const std::string& where) {
  std::vector<std::string_view> known;
  for (const Row& row : Rows()) {
    const std::vector<std::string_view> names = NamesOf(row);
    if (std::ranges::find(names, name) != names.end())
      return {row.nfc ? Json{{"type", "NFC"}} : Json(nullptr), CutJson(row), row.ignore_merges, row.add_bos};
    known.push_back(names[0]);
  }
  Fail(where, "tokenizer.ggml.pre: pre-tokenizer \"{}\" is not supported; {} and others that cut alike are", name,
       fmt::join(known, ", "));
}

}  // namespace ecld
