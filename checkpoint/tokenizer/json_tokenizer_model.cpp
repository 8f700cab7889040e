#include "checkpoint/tokenizer/json_tokenizer_model.h"

#include "checkpoint/known_fields.h"
#include "core/error.h"

namespace ecld {
namespace {

// A part that may be absent or null.
template <class Part>
Part Optional(const JsonView& json, std::string_view key) {
  return json.Has(key) ? Part(json.At(key)) : Part();
}

}  // namespace

JsonTokenizerModel::JsonTokenizerModel(const JsonTokenizerFile& file, const std::string& where)
    : normalizer(Optional<Normalizer>(JsonView(file.json, where), "normalizer")),
      pre_tokenizer(Optional<PreTokenizer>(JsonView(file.json, where), "pre_tokenizer")),
      decoder(JsonView(file.json, where).At("decoder")) {
  JsonView json(file.json, where);
  // Truncation and padding are for batches: they are not applied to a text of its own, nor by transformers.
  RequireKeys(json, {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                     "post_processor", "decoder", "model"});
  const JsonView model = json.At("model");
  const std::string type = model.StringOr("type", file.scores.empty() ? "BPE" : "Unigram");
  is_unigram = type == "Unigram";
  if (!is_unigram && type != "BPE")
    Fail(model.At("type").Where(), "model \"{}\" is not supported (supported: BPE, Unigram)", type);
  bpe_options.byte_level = unigram_options.byte_level = pre_tokenizer.byte_level();
  if (is_unigram)
    ReadUnigramOptions(model, file);
  else
    ReadBpeOptions(model);
  AddVocabulary(file, where);
  if (!is_unigram && model.Has("unk_token")) {
    JsonView unk = model.At("unk_token");
    bpe_options.unk = vocabulary.Find(unk.String());
    if (bpe_options.unk < 0) Fail(unk.Where(), "\"{}\" is not in model.vocab", unk.String());
  }
  if (json.Has("added_tokens")) ReadAddedTokens(json.At("added_tokens"), file.split_special_tokens);
  Decoded(file);
  if (json.Has("post_processor")) ReadPostProcessor(json.At("post_processor"));
}

void JsonTokenizerModel::ReadBpeOptions(const JsonView& model) {
  RequireKeys(model, {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                      "byte_fallback", "ignore_merges", "vocab", "merges"});
  if (!model.At("vocab").json().is_object()) Fail(model.At("vocab").Where(), "expected an object of token: id");
  if (!model.At("merges").json().is_array()) Fail(model.At("merges").Where(), "expected an array");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (!model.StringOr(key, "").empty()) Fail(model.At(key).Where(), "is not supported, expected null or \"\"");
  if (model.NumberOr("dropout", 0) != 0) Fail(model.At("dropout").Where(), "is not supported, expected null or 0");
  bpe_options.byte_fallback = model.BoolOr("byte_fallback", false);
  bpe_options.fuse_unk = model.BoolOr("fuse_unk", false);
  bpe_options.ignore_merges = model.BoolOr("ignore_merges", false);
}

void JsonTokenizerModel::ReadUnigramOptions(const JsonView& model, const JsonTokenizerFile& file) {
  const size_t count = file.vocab.size();
  // What belongs to other models is often left where a file was converted; it says nothing here.
  RequireKeys(model, {"type", "unk_id", "vocab", "byte_fallback", "merges", "dropout", "unk_token",
                      "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "ignore_merges"});
  if (!model.At("vocab").json().is_array() || file.scores.size() != count)
    Fail(model.At("vocab").Where(), "expected an array of tokens and their scores");
  if (count == 0) Fail(model.At("vocab").Where(), "is empty");
  unigram_options.byte_fallback = model.BoolOr("byte_fallback", false);
  if (!model.Has("unk_id")) return;
  const int64_t unk = model.At("unk_id").Int();
  if (unk < 0 || unk >= static_cast<int64_t>(count))
    Fail(model.At("unk_id").Where(), "id {} is not in the vocabulary (of {})", unk, count);
  unigram_options.unk = static_cast<int32_t>(unk);
}

std::optional<std::string> JsonTokenizerModel::ModelBytes(std::string_view token) const {
  if (!bpe_options.byte_level) return std::string(token);
  std::string bytes;
  return BytesOfByteLevelToken(token, bytes) ? std::optional(bytes) : std::nullopt;
}

void JsonTokenizerModel::AddVocabulary(const JsonTokenizerFile& file, const std::string& where) {
  for (const auto& [token, id] : file.vocab) {
    if (vocabulary.Has(id))
      Fail(where + ": model.vocab", "\"{}\" has id {}, which another token has already", token, id);
    // Tokens outside the byte alphabet are special ones; no bytes of a text are ever looked up as one of them.
    std::optional<std::string> bytes = ModelBytes(token);
    vocabulary.Add(id, bytes ? *bytes : token, bytes.has_value());
  }
  vocabulary.Index();
  for (const auto& [token, id] : file.vocab) {
    std::optional<std::string> bytes = ModelBytes(token);
    if (bytes && vocabulary.Find(*bytes) != id)
      Fail(where + ": model.vocab", "\"{}\" appears twice, with ids {} and {}", token, vocabulary.Find(*bytes), id);
  }
}

// Ids were found, and checked against the vocabulary, by ApplyTokenizerConfig.
void JsonTokenizerModel::ReadAddedTokens(const JsonView& json, bool split_special) {
  for (size_t i = 0; i < json.Size(); ++i) {
    AddedToken token = ReadAddedToken(json.At(i), json.At(i).At("id").Int());
    std::string_view pattern = token.content;
    std::string storage;
    if (token.normalized) pattern = normalizer.Apply(pattern, storage);
    if (!token.special || !split_special) (token.normalized ? normalized_matcher : raw_matcher).Add(pattern, token);
    added_tokens.push_back(std::move(token));
  }
}

void JsonTokenizerModel::Decoded(const JsonTokenizerFile& file) {
  for (const AddedToken& token : added_tokens) decoded.Add(token.id, token.content, false);
  for (const auto& [token, id] : file.vocab)
    if (!decoded.Has(id)) decoded.Add(id, decoder.Bytes(token), false);
  special.assign(static_cast<size_t>(decoded.size()), false);
  for (const AddedToken& token : added_tokens) special[static_cast<size_t>(token.id)] = token.special;
}

void JsonTokenizerModel::ReadPostProcessor(const JsonView& json) {
  std::string type = json.At("type").String();
  if (type == "Sequence") {
    RequireKeys(json, {"type", "processors"});
    JsonView parts = json.At("processors");
    for (size_t i = 0; i < parts.Size(); ++i) ReadPostProcessor(parts.At(i));
  } else if (type == "TemplateProcessing") {
    ReadTemplate(json);
  } else if (type == "RobertaProcessing" || type == "BertProcessing") {
    RequireKeys(json, {"type", "sep", "cls", "trim_offsets", "add_prefix_space"});
    before_text.insert(before_text.begin(), KnownId(json.At("cls").At(1)));
    after_text.push_back(KnownId(json.At("sep").At(1)));
  } else if (type == "ByteLevel") {  // which changes offsets only, and we give none
    RequireKeys(json, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
  } else {
    Fail(json.Where(),
         "post-processor \"{}\" is not supported (supported: TemplateProcessing, RobertaProcessing, BertProcessing, "
         "ByteLevel, Sequence)",
         type);
  }
}

int32_t JsonTokenizerModel::KnownId(const JsonView& id) const {
  if (!decoded.Has(id.Int())) Fail(id.Where(), "id {} is not in the vocabulary", id.Int());
  return static_cast<int32_t>(id.Int());
}

void JsonTokenizerModel::ReadTemplate(const JsonView& json) {
  RequireKeys(json, {"type", "single", "pair", "special_tokens"});  // we encode no pairs
  JsonView single = json.At("single");
  bool after = false;
  std::vector<int32_t> before_ids, after_ids;
  for (size_t i = 0; i < single.Size(); ++i) {
    JsonView element = single.At(i);
    RequireKeys(element, {"Sequence", "SpecialToken"});
    if (element.Has("Sequence")) {
      if (after) Fail(element.Where(), "the text appears twice");
      after = true;
      continue;
    }
    std::string name = element.At("SpecialToken").At("id").String();
    JsonView ids = json.At("special_tokens").At(name).At("ids");
    for (size_t k = 0; k < ids.Size(); ++k) (after ? after_ids : before_ids).push_back(KnownId(ids.At(k)));
  }
  if (!after) Fail(single.Where(), "has no Sequence: the text itself is missing");
  before_text.insert(before_text.begin(), before_ids.begin(), before_ids.end());
  after_text.insert(after_text.end(), after_ids.begin(), after_ids.end());
}

MergeTable ReadMerges(const JsonTokenizerFile& file, const JsonTokenizerModel& model, const std::string& where) {
  std::vector<MergeTable::Merge> merges;
  merges.reserve(file.merges.size());
  auto id_of = [&](const std::string& token) {
    std::optional<std::string> bytes = model.ModelBytes(token);
    int32_t id = bytes ? model.vocabulary.Find(*bytes) : -1;
    if (id < 0) Fail(fmt::format("{}: model.merges[{}]", where, merges.size()), "\"{}\" is not in model.vocab", token);
    return id;
  };
  for (const auto& [left, right] : file.merges) merges.push_back({id_of(left), id_of(right), id_of(left + right)});
  return MergeTable(merges);
}

}  // namespace ecld
