#include "checkpoint/tokenizer/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <string>
#include <vector>

#include "checkpoint/tokenizer/added_tokens.h"
#include "checkpoint/tokenizer/normalizer.h"
#include "checkpoint/tokenizer/vocabulary.h"
#include "core/error.h"

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

 private:
  static void Load(sentencepiece::SentencePieceProcessor& processor, std::string_view model, const std::string& where);
  void ReadPieces();
  void AddConfigured(const TokenizerConfig& config);
  std::optional<int32_t> Named(const std::optional<std::string>& name, int fallback, const std::string& where) const;

  sentencepiece::SentencePieceProcessor first_;  // encodes the start of a text
  sentencepiece::SentencePieceProcessor later_;  // encodes what follows a special token; used when !legacy_
  AddedTokenMatcher matcher_;
  std::vector<AddedToken> added_;
  Vocabulary decoded_;
  std::vector<bool> special_;
  bool adds_prefix_ = false;  // the model puts a space before a text, and Decode takes it off
  bool legacy_ = true;        // ... before every stretch of text, not only the first
  bool add_bos_ = true, add_eos_ = false;
  std::optional<int32_t> bos_, eos_;
};

SentencePieceTokenizer::SentencePieceTokenizer(std::string_view model, const std::string& where,
                                               const TokenizerConfig& config)
    : legacy_(config.legacy), add_eos_(config.add_eos_token) {
  Load(first_, model, where);
  if (!legacy_) Load(later_, std::string(model) + std::string(kNoPrefix), where);
  ReadPieces();
  AddConfigured(config);
  for (const AddedToken& token : added_) matcher_.Add(token.content, token);
  bos_ = Named(config.bos_token, first_.bos_id(), config.where);
  eos_ = Named(config.eos_token, first_.eos_id(), config.where);
  add_bos_ = config.add_bos_token && bos_;
  std::vector<std::string> probe;
  if (!first_.Encode("a", &probe).ok() || probe.empty()) Fail(where, "the model cannot encode the letter \"a\"");
  adds_prefix_ = probe[0].starts_with(kSpaceMark);
}

void SentencePieceTokenizer::Load(sentencepiece::SentencePieceProcessor& processor, std::string_view model,
                                  const std::string& where) {
  sentencepiece::util::Status status = processor.LoadFromSerializedProto(model);
  if (!status.ok() || processor.GetPieceSize() <= 0) Fail(where, "not a sentencepiece model ({})", status.ToString());
}

void SentencePieceTokenizer::ReadPieces() {
  for (int id = 0; id < first_.GetPieceSize(); ++id) {
    const std::string& piece = first_.IdToPiece(id);
    if (first_.IsControl(id) || first_.IsUnknown(id)) {
      added_.push_back({.id = id, .content = piece, .special = true});
      decoded_.Add(id, piece, true);
    } else if (first_.IsByte(id)) {
      char byte = static_cast<char>(std::stoi(piece.substr(3, 2), nullptr, 16));  // "<0x41>"
      decoded_.Add(id, {&byte, 1}, false);
    } else {
      decoded_.Add(id, ReplaceAll(piece, kSpaceMark, " "), false);
    }
  }
}

void SentencePieceTokenizer::AddConfigured(const TokenizerConfig& config) {
  for (const AddedToken& token : config.added_tokens) {
    if (!decoded_.Has(token.id)) {
      decoded_.Add(token.id, token.content, true);
      added_.push_back(token);
    } else if (first_.IdToPiece(token.id) != token.content) {
      Fail(config.where, "added_tokens_decoder gives id {} to \"{}\", but tokenizer.model gives it to \"{}\"", token.id,
           token.content, first_.IdToPiece(token.id));
    }
  }
  decoded_.Index();
  special_.assign(static_cast<size_t>(decoded_.size()), false);
  for (const AddedToken& token : added_) special_[static_cast<size_t>(token.id)] = token.special;
}

std::optional<int32_t> SentencePieceTokenizer::Named(const std::optional<std::string>& name, int fallback,
                                                     const std::string& where) const {
  if (!name) return fallback < 0 ? std::nullopt : std::optional<int32_t>(fallback);
  std::optional<int32_t> id = IdOf(*name);
  if (!id) Fail(where, "names the special token \"{}\", which is not in tokenizer.model", *name);
  return id;
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
      ids.push_back(token->id);
    } else {
      std::vector<int> piece_ids;
      auto status = (at_start || legacy_ ? first_ : later_).Encode(piece, &piece_ids);
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
