#pragma once

// Whether this program is built with AddressSanitizer; GCC and clang say it differently.
#if defined(__SANITIZE_ADDRESS__)
#define ECLD_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ECLD_ADDRESS_SANITIZER 1
#endif
#endif
#ifndef ECLD_ADDRESS_SANITIZER
#define ECLD_ADDRESS_SANITIZER 0
#endif

namespace ecld {

// Under it a program takes several times as long. Tests of all combinations of formats then take some in which each
// format still appears; the ordinary build has them all.
inline constexpr bool kSanitized = ECLD_ADDRESS_SANITIZER;

}  // namespace ecld
