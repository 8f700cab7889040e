#pragma once
// What a file seems to be by the bytes it begins with, for errors about a file which is not what was asked for.

#include <string_view>

namespace ecld {

struct FileSignature {
  std::string_view name;    // "compressed by gzip"; empty: none that is known
  std::string_view advice;  // "unpack it with gunzip"; may be empty
};

// REQUIRES bytes: the whole file, or at least its first 512 bytes. Plain text may begin with some of these too
// ("ORC is ..."), so ask only about bytes that are known to be no text.
FileSignature SignatureOf(std::string_view bytes);

// The same of what is made of plain characters and still no text: the stand-in that git leaves for a large file, PDF,
// rich text, encodings that shift between alphabets.
FileSignature SignatureOfCharacters(std::string_view text);

}  // namespace ecld
