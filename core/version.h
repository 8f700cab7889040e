#pragma once
// Which ECLD this is: the project version of CMakeLists.txt, for --version, reports and journals.

#include <string_view>

namespace ecld {

inline constexpr std::string_view kProgramVersion = ECLD_VERSION;

}  // namespace ecld
