#include "checkpoint/tokenizer/tokenizer_steps.h"

#include <algorithm>
#include <utility>

#include "checkpoint/tokenizer/pre_tokenizer.h"
#include "core/error.h"
#include "core/log.h"

namespace ecld {
namespace {

using Class = TokenizerClass;

constexpr std::string_view kSpaceMark = "\xe2\x96\x81";  // U+2581, sentencepiece's visible space

struct Name {
  std::string_view name;
  Class kind;
};
// The first one of a class is its own.
constexpr Name kNames[] = {{"LlamaTokenizer", Class::kLlama},         {"Phi3Tokenizer", Class::kLlama},
                           {"CodeLlamaTokenizer", Class::kCodeLlama}, {"GemmaTokenizer", Class::kGemma},
                           {"Qwen2Tokenizer", Class::kQwen2},         {"GPT2Tokenizer", Class::kGpt2},
                           {"GPTNeoXTokenizer", Class::kGptNeoX},     {"CohereTokenizer", Class::kCohere}};

std::string WithoutFast(const std::string& name) {
  return name.ends_with("Fast") ? name.substr(0, name.size() - 4) : name;
}

Class ClassOfName(const std::string& name) {
  const auto* found = std::ranges::find(kNames, name, &Name::name);
  return found == std::end(kNames) ? Class::kAsFile : found->kind;
}

// Whether transformers, too, takes the file as it stands for this class.
bool IsGeneric(const std::string& name) {
  return name.empty() || name == "PreTrainedTokenizer" || name == "TokenizersBackend" ||
         ClassOfName(name) != Class::kAsFile;
}

// Whether its vocabulary is one of sentencepiece's pieces; the others have bytes.
bool HasPieces(Class kind) { return kind == Class::kLlama || kind == Class::kCodeLlama || kind == Class::kGemma; }

bool HasByteLevel(const Json& json) {
  if (json.is_string()) return json == "ByteLevel";
  return json.is_structured() && std::any_of(json.begin(), json.end(), HasByteLevel);
}

// A class that the model type brings is stronger than the named one only where transformers knows that published files
// name the wrong one.
Class ClassOf(const TokenizerConfig& config, const Json& tokenizer) {
  const std::string named = WithoutFast(config.tokenizer_class);
  if (named.empty()) {
    if (config.model_type == "qwen2" || config.model_type == "qwen3") return Class::kQwen2;
    return config.model_type == "gemma3_text" ? Class::kGemma : Class::kAsFile;
  }
  if (!config.has_own_code) {
    if (named == "LlamaTokenizer" && config.model_type != "qwen2" && HasByteLevel(tokenizer)) return Class::kAsFile;
    if (config.model_type == "mistral") return Class::kAsFile;
    if (config.model_type == "qwen2") return Class::kQwen2;
  }
  return ClassOfName(named);
}

Json Text(std::string_view text) { return {{"String", text}}; }

Json Replace(std::string_view pattern, std::string_view content) {
  return {{"type", "Replace"}, {"pattern", Text(pattern)}, {"content", content}};
}

Json ByteLevel(bool add_prefix_space, bool use_regex) {
  return {
      {"type", "ByteLevel"}, {"add_prefix_space", add_prefix_space}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

Json Steps(const Json& first, const Json& second) {
  return {{"type", "Sequence"}, {"pretokenizers", Json::array({first, second})}};
}

void BuildPieces(Class kind, const TokenizerConfig& config, Json* json) {
  const bool prefix = config.add_prefix_space.value_or(true);
  const bool always = kind == Class::kLlama && config.legacy.value_or(false);
  const char* scheme = !prefix ? "never" : always ? "always" : "first";
  const bool gemma = kind == Class::kGemma;
  (*json)["normalizer"] = gemma ? Replace(" ", kSpaceMark) : Json(nullptr);
  // Gemma's would split at spaces, of which its normalizer leaves none.
  (*json)["pre_tokenizer"] =
      gemma ? Json(nullptr)
            : Json{{"type", "Metaspace"}, {"replacement", kSpaceMark}, {"prepend_scheme", scheme}, {"split", false}};
  Json steps = {Replace(kSpaceMark, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  if (kind == Class::kCodeLlama || (kind == Class::kLlama && prefix))
    steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  (*json)["decoder"] = {{"type", "Sequence"}, {"decoders", steps}};
}

void BuildByteLevel(Class kind, const TokenizerConfig& config, Json* json) {
  const bool prefix = config.add_prefix_space.value_or(false);
  (*json)["normalizer"] = kind == Class::kGpt2 ? Json(nullptr) : Json{{"type", "NFC"}};
  if (kind == Class::kQwen2) {
    const Json split = {
        {"type", "Split"}, {"pattern", {{"Regex", kQwen2Pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
    (*json)["pre_tokenizer"] = Steps(split, ByteLevel(prefix, false));
  } else if (kind == Class::kCohere) {
    (*json)["pre_tokenizer"] = Steps({{"type", "Digits"}, {"individual_digits", true}}, ByteLevel(prefix, true));
  } else {
    (*json)["pre_tokenizer"] = ByteLevel(prefix, true);
  }
  (*json)["decoder"] = ByteLevel(true, true);
}

// Which classes have a post-processor of their own; what files say of it (add_bos_token) does not reach them.
void BuildPostProcessor(Class kind, const TokenizerConfig& config, Json* json) {
  if (kind != Class::kCodeLlama && kind != Class::kGptNeoX) return;
  (*json)["post_processor"] = nullptr;
  if (kind == Class::kGptNeoX) return;
  for (const Json& token : (*json)["added_tokens"]) {
    const std::string name = token["content"].get<std::string>();
    if (config.Text("bos_token") != name) continue;
    const Json begin = {{"SpecialToken", {{"id", name}, {"type_id", 0}}}};
    const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
    (*json)["post_processor"] = {{"type", "TemplateProcessing"},
                                 {"single", Json::array({begin, text})},
                                 {"special_tokens", {{name, {{"id", name}, {"ids", {token["id"]}}}}}}};
  }
}

}  // namespace

const char* NameOf(TokenizerClass kind) {
  const auto* found = std::ranges::find(kNames, kind, &Name::kind);
  return found == std::end(kNames) ? "TokenizersBackend" : found->name.data();
}

TokenizerClass ChooseTokenizerClass(const TokenizerConfig& config, const Json& tokenizer, const std::string& where) {
  const Class kind = ClassOf(config, tokenizer);
  const std::string name = WithoutFast(config.tokenizer_class);
  if (kind == Class::kAsFile) {
    if (!IsGeneric(name))
      WarnOnce(where,
               fmt::format("is taken as it stands; the {} of tokenizer_config.json may have steps of its own", name));
    return kind;
  }
  const JsonView model = JsonView(tokenizer, where).At("model");
  if (model.StringOr("type", "BPE") == "BPE" && HasPieces(kind) != HasByteLevel(tokenizer)) return kind;
  LogWarning("{}: transformers would build a {} of this file, which was made for another; it is taken as it stands",
             where, NameOf(kind));
  return Class::kAsFile;
}

std::vector<TokenizerConfig::Named> DefaultTokens(TokenizerClass kind, const std::string& where) {
  using Roles = std::vector<std::pair<const char*, const char*>>;
  const Roles roles = [&]() -> Roles {
    const char* end = "<|endoftext|>";
    switch (kind) {
      case Class::kAsFile:
        return {};
      case Class::kLlama:
        return {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"unk_token", "<unk>"}};
      case Class::kCodeLlama:
        return {{"bos_token", "<s>"},
                {"eos_token", "</s>"},
                {"unk_token", "<unk>"},
                {"prefix_token", "\xe2\x96\x81<PRE>"},
                {"middle_token", "\xe2\x96\x81<MID>"},
                {"suffix_token", "\xe2\x96\x81<SUF>"},
                {"eot_token", "\xe2\x96\x81<EOT>"},
                {"fill_token", "<FILL_ME>"}};
      case Class::kGemma:
        return {{"bos_token", "<bos>"},
                {"eos_token", "<eos>"},
                {"unk_token", "<unk>"},
                {"pad_token", "<pad>"},
                {"mask_token", "<mask>"}};
      case Class::kQwen2:
        return {{"eos_token", end}, {"unk_token", end}, {"pad_token", end}};
      case Class::kGpt2:
        return {{"bos_token", end}, {"eos_token", end}, {"unk_token", end}};
      case Class::kGptNeoX:
        return {{"bos_token", end}, {"eos_token", end}, {"unk_token", end}, {"pad_token", "<|padding|>"}};
      case Class::kCohere:
        return {{"bos_token", "<BOS_TOKEN>"},  {"eos_token", "<|END_OF_TURN_TOKEN|>"},
                {"unk_token", "<UNK>"},        {"sep_token", "<SEP>"},
                {"pad_token", "<PAD>"},        {"cls_token", "<CLS>"},
                {"mask_token", "<MASK_TOKEN>"}};
    }
    return {};
  }();
  std::vector<TokenizerConfig::Named> tokens;
  for (const auto& [role, content] : roles)
    tokens.push_back({role, AddedToken{.id = kNewTokenId, .content = content, .special = true}, where});
  return tokens;
}

void BuildSteps(TokenizerClass kind, const TokenizerConfig& config, JsonTokenizerFile* file) {
  Json& json = file->json;
  Json model = {{"type", "BPE"}, {"fuse_unk", HasPieces(kind)}, {"byte_fallback", HasPieces(kind)}};
  for (const char* key : {"vocab", "merges"})
    if (json["model"].contains(key)) model[key] = json["model"][key];
  const std::optional<std::string> unk = config.Text("unk_token");
  const auto is_unk = [&](const auto& token) { return token.first == unk; };
  if ((kind == Class::kCodeLlama || kind == Class::kGemma) && std::ranges::any_of(file->vocab, is_unk))
    model["unk_token"] = *unk;
  json["model"] = std::move(model);
  if (HasPieces(kind))
    BuildPieces(kind, config, &json);
  else
    BuildByteLevel(kind, config, &json);
  BuildPostProcessor(kind, config, &json);
}

}  // namespace ecld
