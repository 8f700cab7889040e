#include "checkpoint/tokenizer/added_tokens.h"

#include <algorithm>

#include "checkpoint/known_fields.h"
#include "core/error.h"
#include "core/unicode.h"

namespace ecld {
namespace {

bool IsWholeWord(std::string_view text, size_t begin, size_t end) {
  bool before = begin > 0 && IsWordCharacter(CharBefore(text, begin).code);
  bool after = end < text.size() && IsWordCharacter(CharAt(text, end).code);
  return !before && !after;
}

}  // namespace

int32_t CheckedTokenId(int64_t id, std::string_view where) {
  if (id < 0 || id > kMaxTokenId) Fail(where, "token id {} is outside 0 to {}", id, kMaxTokenId);
  return static_cast<int32_t>(id);
}

AddedToken ReadAddedToken(const JsonView& json, int64_t id, bool special_if_absent) {
  RequireKeys(json, {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special", "__type"});
  AddedToken token;
  token.id = CheckedTokenId(id, json.Where());
  token.content = json.At("content").String();
  token.single_word = json.BoolOr("single_word", false);
  token.lstrip = json.BoolOr("lstrip", false);
  token.rstrip = json.BoolOr("rstrip", false);
  token.special = json.BoolOr("special", special_if_absent);
  token.normalized = json.BoolOr("normalized", !token.special);
  return token;
}

void AddedTokenMatcher::Add(std::string_view pattern, const AddedToken& token) {
  if (pattern.empty()) return;
  starts_[static_cast<unsigned char>(pattern[0])] = true;
  uint32_t node = 0;
  for (char c : pattern) {
    uint64_t edge = uint64_t{node} << 8 | static_cast<unsigned char>(c);
    auto [child, is_new] = children_.try_emplace(edge, static_cast<uint32_t>(ends_.size()));
    if (is_new) ends_.push_back(-1);
    node = child->second;
  }
  if (ends_[node] >= 0) return;  // the first token with a pattern keeps it
  ends_[node] = static_cast<int32_t>(tokens_.size());
  tokens_.push_back(token);
}

AddedTokenMatcher::Match AddedTokenMatcher::LongestAt(std::string_view text, size_t at) const {
  Match match;
  uint32_t node = 0;
  for (size_t i = at; i < text.size(); ++i) {
    auto child = children_.find(uint64_t{node} << 8 | static_cast<unsigned char>(text[i]));
    if (child == children_.end()) break;
    node = child->second;
    if (ends_[node] >= 0) match = {i + 1, &tokens_[static_cast<size_t>(ends_[node])]};
  }
  return match;
}

void AddedTokenMatcher::Split(std::string_view text, const Emit& emit) const {
  size_t done = 0;
  for (size_t at = 0; at < text.size() && !empty();) {
    Match match = starts_[static_cast<unsigned char>(text[at])] ? LongestAt(text, at) : Match{};
    if (!match.token) {
      ++at;
      continue;
    }
    size_t begin = at, end = match.end;
    at = match.end;
    if (match.token->single_word && !IsWholeWord(text, begin, end)) continue;
    if (match.token->lstrip) {
      while (begin > done && IsWhiteSpace(CharBefore(text, begin).code)) begin -= CharBefore(text, begin).size;
    }
    if (match.token->rstrip) {
      while (end < text.size() && IsWhiteSpace(CharAt(text, end).code)) end += CharAt(text, end).size;
    }
    if (begin < done) continue;  // lies in the white space that the token before took
    if (begin > done) emit(text.substr(done, begin - done), nullptr);
    emit(text.substr(begin, end - begin), match.token);
    done = end;
  }
  if (done < text.size()) emit(text.substr(done), nullptr);
}

}  // namespace ecld
