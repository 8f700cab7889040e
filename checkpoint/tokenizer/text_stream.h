#pragma once
// Ids to text as they come, one by one, in time proportional to the text. Only whole characters come out: the bytes of
// one that spans tokens wait for the rest, and what can no longer become a character is replaced by U+FFFD, one for
// each maximal part of a character (the Unicode standard, section 3.9, "U+FFFD substitution of maximal subparts"), so
// that the result is always UTF-8.
//
//   TextStream stream(tokenizer, TextStream::Start::kText);
//   for (int32_t id : ids) std::cout << stream.Add(id);
//   std::cout << stream.Finish();
//
// For a text of its own without special tokens inside, the parts joined are Tokenizer::Decode of all ids.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tokenizer/tokenizer.h"

namespace ecld {

class TextStream {
 public:
  // kText: what the tokenizer puts before a text (a space) is cut off again. kContinuation: the ids continue another
  // text, and a space before them belongs there.
  enum class Start { kText, kContinuation };

  // Special tokens, and ids which only the model has, are left out. tokenizer must outlive the stream.
  TextStream(const Tokenizer& tokenizer, Start start) : tokenizer_(&tokenizer), at_start_(start == Start::kText) {}

  std::string Add(int32_t id);
  // U+FFFD when an unfinished character is left. The stream may not be used afterwards.
  std::string Finish() const;

 private:
  std::string_view BytesOf(int32_t id);
  void AddByte(uint8_t byte, std::string* text);

  const Tokenizer* tokenizer_;
  bool at_start_;
  std::vector<int32_t> first_ids_;  // while nothing of a text of its own has come out
  std::string first_text_;
  std::string pending_;  // the bytes of an unfinished character
};

}  // namespace ecld
