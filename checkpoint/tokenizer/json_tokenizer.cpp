#include "checkpoint/tokenizer/json_tokenizer.h"

#include <mutex>

#include "checkpoint/tokenizer/added_tokens.h"
#include "checkpoint/tokenizer/bpe.h"
#include "checkpoint/tokenizer/json_tokenizer_model.h"
#include "checkpoint/tokenizer/normalizer.h"
#include "checkpoint/tokenizer/pre_tokenizer.h"
#include "checkpoint/tokenizer/tokenizer_class.h"
#include "checkpoint/tokenizer/unigram.h"
#include "checkpoint/tokenizer/word_cache.h"
#include "core/error.h"

namespace ecld {
namespace {

// What one call of Encode works with. Kept between calls: the words it remembers are what makes the next call fast.
struct Scratch {
  WordCache cache;
  BpeModel::Scratch bpe;
  UnigramModel::Scratch unigram;
};

class JsonTokenizer final : public Tokenizer {
 public:
  JsonTokenizer(const JsonTokenizerFile& file, const std::string& where, const TokenizerConfig& config);

  std::vector<int32_t> Encode(std::string_view text, bool add_special) const override;
  std::string Decode(std::span<const int32_t> ids, bool skip_special) const override;
  std::string_view Bytes(int32_t id, bool skip_special) const override {
    if (!parts_.decoded.Has(id) || (skip_special && parts_.special[static_cast<size_t>(id)])) return {};
    return parts_.decoded.Bytes(id);
  }
  int64_t vocab_size() const override { return parts_.decoded.size(); }
  std::optional<int32_t> IdOf(std::string_view token) const override;
  std::optional<int32_t> bos() const override { return bos_; }
  std::optional<int32_t> eos() const override { return eos_; }
  const Json& special_tokens() const override { return special_tokens_; }

 private:
  std::unique_ptr<Scratch> TakeScratch() const;
  void RunModel(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const;
  void EncodeWord(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const;

  JsonTokenizerModel parts_;
  std::optional<BpeModel> bpe_;
  std::optional<UnigramModel> unigram_;
  std::optional<int32_t> bos_, eos_;
  Json special_tokens_;

  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Scratch>> idle_;  // one per thread that was ever in Encode at the same time
};

JsonTokenizer::JsonTokenizer(const JsonTokenizerFile& file, const std::string& where, const TokenizerConfig& config)
    : parts_(file, where), special_tokens_(config.Texts()) {
  if (parts_.is_unigram)
    unigram_.emplace(parts_.unigram_options, parts_.vocabulary, file.scores);
  else
    bpe_.emplace(parts_.bpe_options, parts_.vocabulary, ReadMerges(file, parts_, where));
  bos_ = IdOf(config.Text("bos_token").value_or(""));
  eos_ = IdOf(config.Text("eos_token").value_or(""));
  if (!bos_ && !parts_.before_text.empty()) bos_ = parts_.before_text.front();
}

std::optional<int32_t> JsonTokenizer::IdOf(std::string_view token) const {
  for (const AddedToken& added : parts_.added_tokens)
    if (added.content == token) return added.id;
  int32_t id = parts_.vocabulary.Find(token);
  return id < 0 ? std::nullopt : std::optional(id);
}

std::unique_ptr<Scratch> JsonTokenizer::TakeScratch() const {
  std::lock_guard lock(mutex_);
  if (idle_.empty()) return std::make_unique<Scratch>();
  std::unique_ptr<Scratch> scratch = std::move(idle_.back());
  idle_.pop_back();
  return scratch;
}

void JsonTokenizer::RunModel(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const {
  if (bpe_)
    bpe_->Encode(word, scratch.bpe, ids);
  else
    unigram_->Encode(word, scratch.unigram, ids);
}

void JsonTokenizer::EncodeWord(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const {
  if (word.size() > WordCache::kMaxBytes || word.empty()) {
    RunModel(word, scratch, ids);
    return;
  }
  size_t slot;
  if (scratch.cache.Find(word, ids, slot)) return;
  size_t first = ids.size();
  RunModel(word, scratch, ids);
  scratch.cache.Store(slot, word, std::span(ids).subspan(first));
}

std::vector<int32_t> JsonTokenizer::Encode(std::string_view text, bool add_special) const {
  std::unique_ptr<Scratch> scratch = TakeScratch();
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  if (add_special) ids = parts_.before_text;
  bool at_start = true;  // nothing of the text was taken yet
  auto words = [&](std::string_view piece, const AddedToken* token) {
    if (token)
      ids.push_back(token->id);
    else
      parts_.pre_tokenizer.Split(piece, at_start, [&](std::string_view word) { EncodeWord(word, *scratch, ids); });
    at_start = false;
  };
  std::string storage;
  parts_.raw_matcher.Split(text, [&](std::string_view piece, const AddedToken* token) {
    if (token)
      words(piece, token);
    else
      parts_.normalized_matcher.Split(parts_.normalizer.Apply(piece, storage), words);
  });
  if (add_special) ids.insert(ids.end(), parts_.after_text.begin(), parts_.after_text.end());
  std::lock_guard lock(mutex_);
  idle_.push_back(std::move(scratch));
  return ids;
}

std::string JsonTokenizer::Decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string text;
  bool first = parts_.decoder.first_without_spaces();
  for (int32_t id : ids) {
    if (!parts_.decoded.Has(id))
      Fail("decode", "token id {} is not in the vocabulary (of {} ids)", id, parts_.decoded.size());
    if (skip_special && parts_.special[static_cast<size_t>(id)]) continue;
    text += parts_.decoded.Bytes(id);
    if (first) std::erase(text, ' ');
    first = false;
  }
  parts_.decoder.Strip(text);
  return text;
}

}  // namespace

std::unique_ptr<Tokenizer> ReadJsonTokenizer(std::string_view text, const std::string& where, TokenizerConfig config) {
  JsonTokenizerFile file = ParseJsonTokenizer(text, where);
  ApplyTokenizerConfig(where, &config, &file);
  return ReadJsonTokenizer(file, where, config);
}

std::unique_ptr<Tokenizer> ReadJsonTokenizer(const JsonTokenizerFile& file, const std::string& where,
                                             const TokenizerConfig& config) {
  return std::make_unique<JsonTokenizer>(file, where, config);
}

}  // namespace ecld
