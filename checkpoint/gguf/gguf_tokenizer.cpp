#include "checkpoint/gguf/gguf_tokenizer.h"

#include <algorithm>
#include <unordered_map>

#include "checkpoint/gguf/gguf_config.h"
#include "core/error.h"

namespace ecld {
namespace {

using Kind = GgufVocabulary::Kind;

constexpr std::string_view kSpaceMark = "\xe2\x96\x81";  // U+2581, sentencepiece's visible space

// Matched in the text as a whole, before it is cut into words.
bool IsAdded(Kind kind) { return kind == Kind::kUnknown || kind == Kind::kControl || kind == Kind::kUserDefined; }

Json AddedTokens(const GgufVocabulary& vocabulary) {
  Json added = Json::array();
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const auto& token = vocabulary.tokens[id];
    if (!IsAdded(token.kind)) continue;
    added.push_back({{"id", id},
                     {"content", token.text},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", token.kind != Kind::kUserDefined}});
  }
  return added;
}

// All tokens, the added ones too: only so do their ids stay what they are when some ids are unused.
Json VocabularyJson(const GgufVocabulary& vocabulary) {
  Json json = Json::object();
  auto& object = json.get_ref<Json::object_t&>();
  object.reserve(vocabulary.tokens.size());
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const auto& token = vocabulary.tokens[id];
    // Known to be there once, so the linear search of an insertion can be spared.
    if (token.kind != Kind::kUnused) object.emplace_back(std::string(token.text), id);
  }
  return json;
}

// Sentencepiece merges, of all neighbours, the pair whose union has the highest score. As a list of merges: every way
// to cut every piece in two pieces, by falling score of the whole.
Json MergesFromScores(const GgufVocabulary& vocabulary) {
  struct Merge {
    std::string_view left, right;
    float score;
  };
  std::unordered_map<std::string_view, float> pieces;
  for (const auto& token : vocabulary.tokens) {
    if (token.kind == Kind::kNormal) pieces.emplace(token.text, token.score);
  }
  std::vector<Merge> merges;
  for (const auto& token : vocabulary.tokens) {
    if (token.kind != Kind::kNormal) continue;
    // The longest left part first: of two overlapping pairs with the same union, that is mostly the left one.
    for (size_t cut = token.text.size(); cut-- > 1;) {
      std::string_view left = token.text.substr(0, cut), right = token.text.substr(cut);
      if (pieces.contains(left) && pieces.contains(right)) merges.push_back({left, right, token.score});
    }
  }
  std::stable_sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) { return a.score > b.score; });
  Json json = Json::array();
  for (const Merge& merge : merges) json.push_back({merge.left, merge.right});
  return json;
}

Json Model(const GgufVocabulary& vocabulary, bool ignore_merges) {
  bool sentence_piece = vocabulary.model == GgufVocabulary::Model::kSentencePiece;
  Json model = {{"type", "BPE"}, {"dropout", nullptr}, {"unk_token", nullptr}};
  if (sentence_piece && vocabulary.unknown) {
    model["unk_token"] = vocabulary.tokens[static_cast<size_t>(*vocabulary.unknown)].text;
  }
  model["continuing_subword_prefix"] = nullptr;
  model["end_of_word_suffix"] = nullptr;
  model["fuse_unk"] = sentence_piece;
  model["byte_fallback"] = sentence_piece;
  model["ignore_merges"] = ignore_merges;
  model["vocab"] = VocabularyJson(vocabulary);
  if (sentence_piece) {
    model["merges"] = MergesFromScores(vocabulary);
  } else {
    Json merges = Json::array();
    for (const auto& [left, right] : vocabulary.merges) merges.push_back({left, right});
    model["merges"] = merges;
  }
  return model;
}

void AddSentencePieceSteps(const GgufVocabulary& vocabulary, Json* json) {
  Json space_to_mark = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpaceMark}};
  Json mark_to_space = {{"type", "Replace"}, {"pattern", {{"String", kSpaceMark}}}, {"content", " "}};
  Json normalizers = Json::array(), decoders = {mark_to_space, {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  if (vocabulary.add_space_prefix) {
    normalizers.push_back({{"type", "Prepend"}, {"prepend", kSpaceMark}});
    decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  normalizers.push_back(space_to_mark);
  (*json)["normalizer"] = {{"type", "Sequence"}, {"normalizers", normalizers}};
  (*json)["pre_tokenizer"] = nullptr;
  (*json)["decoder"] = {{"type", "Sequence"}, {"decoders", decoders}};
}

// What surrounds a text: [bos] A [eos], and for a pair of texts the same twice.
Json PostProcessor(const GgufVocabulary& vocabulary) {
  Json single = Json::array(), pair = Json::array(), special = Json::object();
  auto add_special = [&](int64_t id, Json* list, int type_id) {
    std::string text(vocabulary.tokens[static_cast<size_t>(id)].text);
    list->push_back({{"SpecialToken", {{"id", text}, {"type_id", type_id}}}});
    special[text] = {{"id", text}, {"ids", {id}}, {"tokens", {text}}};
  };
  auto add_text = [&](const char* name, Json* list, int type_id) {
    if (vocabulary.add_bos) add_special(*vocabulary.bos, list, type_id);
    list->push_back({{"Sequence", {{"id", name}, {"type_id", type_id}}}});
    if (vocabulary.add_eos) add_special(*vocabulary.eos, list, type_id);
  };
  add_text("A", &single, 0);
  add_text("A", &pair, 0);
  add_text("B", &pair, 1);
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
}

Json TokenizerConfig(const GgufVocabulary& vocabulary, int64_t max_position) {
  Json json = {{"tokenizer_class", "PreTrainedTokenizerFast"},
               {"model_max_length", max_position},
               {"clean_up_tokenization_spaces", false},
               {"add_bos_token", vocabulary.add_bos},
               {"add_eos_token", vocabulary.add_eos}};
  auto put = [&](const char* key, const std::optional<int64_t>& id) {
    if (id) json[key] = vocabulary.tokens[static_cast<size_t>(*id)].text;
  };
  put("bos_token", vocabulary.bos);
  put("eos_token", vocabulary.eos);
  put("unk_token", vocabulary.unknown);
  put("pad_token", vocabulary.padding);
  if (!vocabulary.named_templates.empty()) {
    Json& list = json["chat_template"] = Json::array();
    if (!vocabulary.chat_template.empty())
      list.push_back({{"name", "default"}, {"template", vocabulary.chat_template}});
    for (const auto& [name, text] : vocabulary.named_templates) list.push_back({{"name", name}, {"template", text}});
  } else if (!vocabulary.chat_template.empty()) {
    json["chat_template"] = vocabulary.chat_template;
  }
  return json;
}

Json GenerationConfig(const GgufContents& gguf, const GgufVocabulary& vocabulary,
                      const std::vector<int64_t>& stop_ids) {
  Json json = {{"_from_model_config", false}};
  for (const auto& [key, name] : kSamplingKeys)
    if (const GgufValue* value = gguf.Find(key)) {
      json[name] = value->Kind() == "integer" ? Json(value->Int()) : Json(value->Decimal());
      json["do_sample"] = true;
    }
  if (vocabulary.bos) json["bos_token_id"] = *vocabulary.bos;
  if (!stop_ids.empty()) json["eos_token_id"] = stop_ids.size() == 1 ? Json(stop_ids[0]) : Json(stop_ids);
  if (vocabulary.padding) json["pad_token_id"] = *vocabulary.padding;
  return json;
}

}  // namespace

Json TokenizerJson(const GgufVocabulary& vocabulary, const std::string& where) {
  Json json = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  json["added_tokens"] = AddedTokens(vocabulary);
  bool ignore_merges = false;
  if (vocabulary.model == GgufVocabulary::Model::kSentencePiece) {
    AddSentencePieceSteps(vocabulary, &json);
  } else {
    PreTokenizerSteps steps = FindPreTokenizer(vocabulary.pre_tokenizer, where);
    json["normalizer"] = steps.normalizer;
    json["pre_tokenizer"] = steps.pre_tokenizer;
    json["decoder"] = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
    ignore_merges = steps.ignore_merges;
  }
  json["post_processor"] = vocabulary.add_bos || vocabulary.add_eos ? PostProcessor(vocabulary) : Json(nullptr);
  json["model"] = Model(vocabulary, ignore_merges);
  return json;
}

void WriteTokenizerFiles(const GgufContents& gguf, const std::filesystem::path& directory) {
  GgufVocabulary vocabulary = ReadGgufVocabulary(gguf);
  int64_t max_position = ReadGgufConfig(gguf, DType::kBF16).max_position;
  WriteJsonFile(directory / "tokenizer.json", TokenizerJson(vocabulary, gguf.where));
  WriteJsonFile(directory / "tokenizer_config.json", TokenizerConfig(vocabulary, max_position));
  WriteJsonFile(directory / "generation_config.json", GenerationConfig(gguf, vocabulary, GgufStopIds(gguf)));
}

}  // namespace ecld
