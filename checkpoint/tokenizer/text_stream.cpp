#include "checkpoint/tokenizer/text_stream.h"

namespace ecld {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

// Bytes of the character that lead starts; 0 when it starts none.
size_t CharacterSize(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

// Whether byte may follow the bytes of an unfinished character (the Unicode standard, table 3-7).
bool Continues(std::string_view pending, uint8_t byte) {
  const auto lead = static_cast<uint8_t>(pending.front());
  uint8_t lowest = 0x80, highest = 0xbf;
  if (pending.size() == 1) {
    if (lead == 0xe0) lowest = 0xa0;   // shorter forms exist
    if (lead == 0xf0) lowest = 0x90;   // shorter forms exist
    if (lead == 0xed) highest = 0x9f;  // surrogates
    if (lead == 0xf4) highest = 0x8f;  // beyond U+10FFFF
  }
  return lowest <= byte && byte <= highest;
}

}  // namespace

std::string_view TextStream::BytesOf(int32_t id) {
  const std::string_view bytes = tokenizer_->Bytes(id, true);
  if (!at_start_ || bytes.empty()) return bytes;
  // Only Decode knows what to cut from the start of a text, and that may take more than one token.
  first_ids_.push_back(id);
  first_text_ = tokenizer_->Decode(first_ids_, true);
  at_start_ = first_text_.empty();
  return first_text_;
}

std::string TextStream::Add(int32_t id) {
  std::string text;
  for (char c : BytesOf(id)) AddByte(static_cast<uint8_t>(c), &text);
  return text;
}

std::string TextStream::Finish() const { return std::string(pending_.empty() ? "" : kReplacement); }

void TextStream::AddByte(uint8_t byte, std::string* text) {
  if (!pending_.empty() && !Continues(pending_, byte)) {
    *text += kReplacement;
    pending_.clear();
  }
  if (pending_.empty() && CharacterSize(byte) == 0) {
    *text += kReplacement;
    return;
  }
  pending_.push_back(static_cast<char>(byte));
  if (pending_.size() < CharacterSize(static_cast<uint8_t>(pending_.front()))) return;
  *text += pending_;
  pending_.clear();
}

}  // namespace ecld
