#include "checkpoint/tokenizer/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/tokenizer/added_tokens.h"
#include "checkpoint/tokenizer/normalizer.h"
#include "checkpoint/tokenizer/vocabulary.h"
#include "core/error.h"
#include "core/log.h"

namespace ecld {
namespace {

constexpr std::string_view kSpaceMark = "\xe2\x96\x81";  // U+2581, which stands for a space

// Later bytes of a serialized message override earlier ones, so these turn off the space that the model puts before a
// text: field 3 of ModelProto (normalizer_spec) holding field 3 (add_dummy_prefix) = false.
constexpr std::string_view kNoPrefix("\x1a\x02\x18\x00", 4);

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(std::string_view model, const std::string& where, const TokenizerConfig& config);

  std::vector<int32_t> Encode(std::string_view text, bool add_special) const override;
  std::string Decode(std::span<const int32_t> ids, bool skip_special) const override;
  std::string_view Bytes(int32_t id, bool skip_special) const override {
    if (!decoded_.Has(id) || (skip_special && special_[static_cast<size_t>(id)])) return {};
    return decoded_.Bytes(id);
  }
  int64_t vocab_size() const override { return decoded_.size(); }
  std::optional<int32_t> IdOf(std::string_view token) const override;
  std::optional<int32_t> bos() const override { return bos_; }
  std::optional<int32_t> eos() const override { return eos_; }
  const Json& special_tokens() const override { return special_tokens_; }

 private:
  static void Load(sentencepiece::SentencePieceProcessor& processor, std::string_view model, const std::string& where);
  void ReadPieces(const TokenizerConfig& config);
  void AddConfigured(const TokenizerConfig& config);
  void Add(AddedToken token, const std::string& told, const TokenizerConfig& config);
  // The model's own tokens with roles; an id of -1 where there is none.
  std::array<std::pair<const char*, int>, 4> Roles() const;
  bool HasLostItsRole(int id, const TokenizerConfig& config) const;
  std::optional<int32_t> IdOfRole(const char* role, int fallback, const TokenizerConfig& config) const;

  sentencepiece::SentencePieceProcessor first_;  // encodes the start of a text
  sentencepiece::SentencePieceProcessor later_;  // encodes what follows a special token; used when !legacy_
  AddedTokenMatcher matcher_;
  std::vector<AddedToken> added_;
  Vocabulary decoded_;
  std::vector<bool> special_;
  bool adds_prefix_ = false;  // the model puts a space before a text, and Decode takes it off
  bool legacy_ = true;        // ... before every stretch of text, not only the first
  // legacy_ off: text that starts with an added token has a space before it, unless the token has a role.
  std::set<std::string> without_space_;
  bool adds_space_ = false;
  bool add_bos_ = true, add_eos_ = false;
  std::optional<int32_t> bos_, eos_;
  Json special_tokens_;
};

SentencePieceTokenizer::SentencePieceTokenizer(std::string_view model, const std::string& where,
                                               const TokenizerConfig& config)
    : legacy_(config.legacy.value_or(true)),
      add_eos_(config.add_eos_token.value_or(false)),
      special_tokens_(config.Texts()) {
  Load(first_, model, where);
  if (!legacy_) Load(later_, std::string(model) + std::string(kNoPrefix), where);
  ReadPieces(config);
  AddConfigured(config);
  for (const AddedToken& token : added_)
    if (!config.split_special_tokens) matcher_.Add(token.content, token);
  bos_ = IdOfRole("bos_token", first_.bos_id(), config);
  eos_ = IdOfRole("eos_token", first_.eos_id(), config);
  add_bos_ = config.add_bos_token.value_or(true) && bos_;
  std::vector<std::string> probe;
  if (!first_.Encode("a", &probe).ok() || probe.empty()) Fail(where, "the model cannot encode the letter \"a\"");
  adds_prefix_ = probe[0].starts_with(kSpaceMark);
  adds_space_ = config.add_prefix_space.value_or(true);
}

void SentencePieceTokenizer::Load(sentencepiece::SentencePieceProcessor& processor, std::string_view model,
                                  const std::string& where) {
  sentencepiece::util::Status status = processor.LoadFromSerializedProto(model);
  if (!status.ok() || processor.GetPieceSize() <= 0) Fail(where, "not a sentencepiece model ({})", status.ToString());
}

void SentencePieceTokenizer::ReadPieces(const TokenizerConfig& config) {
  for (int id = 0; id < first_.GetPieceSize(); ++id) {
    const std::string& piece = first_.IdToPiece(id);
    if (first_.IsControl(id) || first_.IsUnknown(id)) {
      if (!HasLostItsRole(id, config)) {
        added_.push_back({.id = id, .content = piece, .special = true});
        without_space_.insert(piece);
      }
      decoded_.Add(id, piece, true);
    } else if (first_.IsByte(id)) {
      char byte = static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16));  // "<0x41>"
      decoded_.Add(id, {&byte, 1}, false);
    } else {
      decoded_.Add(id, ReplaceAll(piece, kSpaceMark, " "), false);
    }
  }
}

std::array<std::pair<const char*, int>, 4> SentencePieceTokenizer::Roles() const {
  return {{{"bos_token", first_.bos_id()},
           {"eos_token", first_.eos_id()},
           {"unk_token", first_.unk_id()},
           {"pad_token", first_.pad_id()}}};
}

// Where another token ends a text, the model's own "</s>" is text like any other.
bool SentencePieceTokenizer::HasLostItsRole(int id, const TokenizerConfig& config) const {
  bool lost = false;
  for (const auto& [role, own] : Roles())
    if (own == id && config.Find(role)) lost = config.Text(role) != first_.IdToPiece(id);
  for (const auto& named : config.named)
    if (named.token && named.token->content == first_.IdToPiece(id)) return false;
  return lost;
}

void SentencePieceTokenizer::AddConfigured(const TokenizerConfig& config) {
  for (const AddedToken& token : config.added_tokens) Add(token, config.added_where, config);
  // A role of which no file says anything has the model's own token, without flags.
  for (const auto& [role, own] : Roles())
    if (own >= 0 && !config.Find(role)) {
      Add({.id = own, .content = first_.IdToPiece(own), .special = true}, config.where, config);
      special_tokens_[role] = first_.IdToPiece(own);
    }
  decoded_.Index();
  auto add_new = [&](AddedToken token, const std::string& told) {
    if (token.content.empty()) return;
    without_space_.insert(token.content);
    if (std::any_of(added_.begin(), added_.end(), [&](const auto& old) { return old.content == token.content; }))
      return;
    token.special = true;
    const std::optional<int32_t> known = IdOf(token.content);
    token.id = known ? *known : static_cast<int32_t>(decoded_.size());
    Add(token, told, config);
  };
  for (const auto& named : config.named)
    if (named.token) add_new(*named.token, named.where);
  for (const AddedToken& token : config.extra_tokens) add_new(token, config.extra_where);
  decoded_.Index();
  special_.assign(static_cast<size_t>(decoded_.size()), false);
  for (const AddedToken& token : added_) special_[static_cast<size_t>(token.id)] = token.special;
}

// told: the file that the token is from.
void SentencePieceTokenizer::Add(AddedToken token, const std::string& told, const TokenizerConfig& config) {
  if (token.id < first_.GetPieceSize() && first_.IdToPiece(token.id) != token.content)
    Fail(told, "gives id {} to \"{}\", but tokenizer.model gives it to \"{}\"", token.id, token.content,
         first_.IdToPiece(token.id));
  for (AddedToken& old : added_) {
    if (old.content != token.content && old.id != token.id) continue;
    if (old.content != token.content || old.id != token.id)
      Fail(told, "gives id {} to \"{}\", but \"{}\" has id {}", token.id, token.content, old.content, old.id);
    old = token;
    return;
  }
  if (!decoded_.Has(token.id)) decoded_.Add(token.id, token.content, true);
  if (config.model_vocab_size && token.id >= *config.model_vocab_size)
    LogWarning("{}: the token \"{}\" has id {}, for which the model (of {} ids) has no embedding", told, token.content,
               token.id, *config.model_vocab_size);
  added_.push_back(std::move(token));
}

std::optional<int32_t> SentencePieceTokenizer::IdOfRole(const char* role, int fallback,
                                                        const TokenizerConfig& config) const {
  if (config.Find(role)) return config.Text(role) ? IdOf(*config.Text(role)) : std::nullopt;
  return fallback < 0 ? std::nullopt : std::optional<int32_t>(fallback);
}

std::optional<int32_t> SentencePieceTokenizer::IdOf(std::string_view token) const {
  if (int32_t id = decoded_.Find(token); id >= 0) return id;
  int id = first_.PieceToId(token);  // the unknown token for what it does not know
  return first_.IsUnknown(id) ? std::nullopt : std::optional<int32_t>(id);
}

std::vector<int32_t> SentencePieceTokenizer::Encode(std::string_view text, bool add_special) const {
  std::vector<int32_t> ids;
  if (add_special && add_bos_) ids.push_back(*bos_);
  bool at_start = true;
  matcher_.Split(text, [&](std::string_view piece, const AddedToken* token) {
    if (token) {
      if (at_start && !legacy_ && adds_space_ && !without_space_.contains(token->content))
        if (const auto mark = IdOf(kSpaceMark)) ids.push_back(*mark);
      ids.push_back(token->id);
    } else {
      std::vector<int> piece_ids;
      auto status = (legacy_ || (at_start && adds_space_) ? first_ : later_).Encode(piece, &piece_ids);
      if (!status.ok()) Fail("encode", "sentencepiece: {}", status.ToString());
      ids.insert(ids.end(), piece_ids.begin(), piece_ids.end());
    }
    at_start = false;
  });
  if (add_special && add_eos_ && eos_) ids.push_back(*eos_);
  return ids;
}

std::string SentencePieceTokenizer::Decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string text;
  bool after_prefix = adds_prefix_;  // the next piece starts with the space that Encode added
  for (int32_t id : ids) {
    if (!decoded_.Has(id)) Fail("decode", "token id {} is not in the vocabulary (of {} ids)", id, decoded_.size());
    bool special = special_[static_cast<size_t>(id)];
    if (special && skip_special) {
      after_prefix = after_prefix || (adds_prefix_ && legacy_);
      continue;
    }
    std::string_view bytes = decoded_.Bytes(id);
    if (!special && after_prefix && bytes.starts_with(' ')) bytes.remove_prefix(1);
    after_prefix = special && adds_prefix_ && legacy_;
    text += bytes;
  }
  return text;
}

}  // namespace

std::unique_ptr<Tokenizer> ReadSentencePieceTokenizer(std::string_view model, const std::string& where,
                                                      const TokenizerConfig& config) {
  return std::make_unique<SentencePieceTokenizer>(model, where, config);
}

}  // namespace ecld
