#pragma once

namespace ecld {

// Whether this program is built with AddressSanitizer, under which it takes several times as long. Tests of all
// combinations of formats then take some in which each format still appears; the ordinary build has them all.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace ecld
