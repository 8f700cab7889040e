#pragma once
// Operations on text that Python's strings have; characters are Unicode ones, in UTF-8.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ecld::jinja {

// characters: which to strip; nullptr for white space.
std::string Strip(std::string_view text, const std::string* characters, bool left, bool right);
// At most limit cuts, all when limit < 0. REQUIRES a separator that is not empty.
std::vector<std::string> SplitAt(std::string_view text, std::string_view separator, int64_t limit, bool from_right);
std::vector<std::string> SplitAtSpace(std::string_view text, int64_t limit);
std::string Upper(std::string_view text);
std::string Lower(std::string_view text);
std::string Title(std::string_view text);
std::string Capitalized(std::string_view text);

}  // namespace ecld::jinja
