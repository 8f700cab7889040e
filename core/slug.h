#pragma once
// A name that a file or an id can have, made of one for people: "AMD EPYC (2 cores)" -> "amd-epyc-2-cores".

#include <cctype>
#include <string>
#include <string_view>

namespace ecld {

// ASCII letters, lower case, and digits; one dash for whatever stands between them.
inline std::string Slug(std::string_view name) {
  std::string slug;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte))
      slug += static_cast<char>(std::tolower(byte));
    else if (!slug.empty() && slug.back() != '-')
      slug += '-';
  }
  while (!slug.empty() && slug.back() == '-') slug.pop_back();
  return slug;
}

}  // namespace ecld
