#pragma once
// Bytes as text. Read are UTF-8, with a mark or without, and UTF-16 and UTF-32 by their mark; anything else is an Error
// which says at which byte, and what the bytes seem to be: nothing is replaced, dropped or taken for something else.
// Line ends stay as they are.

#include <string>
#include <string_view>

namespace ecld {

// The same text in UTF-8 without a mark; bytes that are that already come back as they are. Nothing is nothing.
// where: the file, for errors. THROWS Error.
std::string DecodeText(std::string bytes, std::string_view where);

}  // namespace ecld
