#include "checkpoint/tokenizer/unigram.h"

#include <algorithm>
#include <limits>

#include "core/error.h"
#include "core/utf8.h"

namespace ecld {
namespace {

constexpr double kUnknownPenalty = 10;

}  // namespace

UnigramModel::UnigramModel(UnigramOptions options, const Vocabulary& vocabulary, std::vector<double> scores)
    : options_(options), vocabulary_(&vocabulary), scores_(std::move(scores)) {
  double lowest = std::numeric_limits<double>::max();
  for (size_t id = 0; id < scores_.size(); ++id) {
    lowest = std::min(lowest, scores_[id]);
    const auto token = static_cast<int32_t>(id);
    if (vocabulary.Has(token) && vocabulary.Find(vocabulary.Bytes(token)) == token && !vocabulary.Bytes(token).empty())
      sorted_.push_back(token);
  }
  unk_score_ = lowest - kUnknownPenalty;
  std::sort(sorted_.begin(), sorted_.end(),
            [&](int32_t a, int32_t b) { return vocabulary.Bytes(a) < vocabulary.Bytes(b); });
}

size_t UnigramModel::CharacterSize(std::string_view word, size_t at) const {
  return options_.byte_level ? 1 : CharAt(word, at).size;
}

// Calls use(id, size) for every token with which text starts: the tokens that share the bytes seen so far are a range
// of the sorted ones, which each byte narrows.
template <class Use>
void UnigramModel::ForTokensAt(std::string_view text, const Use& use) const {
  auto first = sorted_.begin(), last = sorted_.end();
  for (size_t size = 1; size <= text.size() && first != last; ++size) {
    const auto byte = static_cast<unsigned char>(text[size - 1]);
    auto byte_of = [&](int32_t id) { return static_cast<unsigned char>(vocabulary_->Bytes(id)[size - 1]); };
    first = std::lower_bound(first, last, byte, [&](int32_t id, unsigned char b) { return byte_of(id) < b; });
    last = std::upper_bound(first, last, byte, [&](unsigned char b, int32_t id) { return b < byte_of(id); });
    if (first != last && vocabulary_->Bytes(*first).size() == size) use(*first++, size);
  }
}

void UnigramModel::AppendUnknown(std::string_view piece, std::vector<int32_t>& ids) const {
  if (const int32_t id = vocabulary_->Find(piece); id >= 0) {  // the unknown token, written out
    ids.push_back(id);
    return;
  }
  const size_t before = ids.size();
  for (size_t i = 0; options_.byte_fallback && i < piece.size(); ++i) {
    const int32_t id = vocabulary_->Find(fmt::format("<0x{:02X}>", static_cast<unsigned char>(piece[i])));
    if (id < 0) {
      ids.resize(before);
      break;
    }
    ids.push_back(id);
  }
  if (ids.size() > before) return;
  if (options_.unk < 0) Fail("encode", "the text has a character without a token, and the model has no unknown token");
  ids.push_back(options_.unk);
}

void UnigramModel::Encode(std::string_view word, Scratch& scratch, std::vector<int32_t>& ids) const {
  auto& nodes = scratch.nodes;
  nodes.assign(word.size() + 1, {});
  for (size_t begin = 0; begin < word.size(); begin += CharacterSize(word, begin)) {
    const double here = nodes[begin].score;
    auto reach = [&](int32_t id, size_t end, double score) {
      Scratch::Node& node = nodes[end];
      if (!node.reached || here + score > node.score) node = {here + score, begin, id, true};
    };
    const size_t character = CharacterSize(word, begin);
    bool single = false;
    ForTokensAt(word.substr(begin), [&](int32_t id, size_t size) {
      reach(id, begin + size, scores_[static_cast<size_t>(id)]);
      single = single || size == character;
    });
    if (!single) reach(options_.unk, begin + character, unk_score_);
  }
  scratch.path.clear();
  for (size_t end = word.size(); end > 0; end = nodes[end].begin) scratch.path.push_back(end);
  size_t unknown = word.size();  // where a run of unknown characters starts
  auto flush = [&](size_t end) {
    if (unknown < end) AppendUnknown(word.substr(unknown, end - unknown), ids);
    unknown = word.size();
  };
  for (auto end = scratch.path.rbegin(); end != scratch.path.rend(); ++end) {
    const Scratch::Node& node = nodes[*end];
    if (node.id == options_.unk) {
      unknown = std::min(unknown, node.begin);
      continue;
    }
    flush(node.begin);
    ids.push_back(node.id);
  }
  flush(word.size());
}

}  // namespace ecld
