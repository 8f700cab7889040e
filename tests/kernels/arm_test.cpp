// Which implementations an Arm processor gets. Tests run under an emulator that can leave instructions out; the build
// says in ECLD_TEST_DOT_PRODUCT whether the one of this run has the dot product (tests/CMakeLists.txt).

#if defined(__aarch64__)

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "kernels/gemm/implementations.h"

namespace ecld {
namespace {

std::string FirstFor(const GemmArgs& args) {
  for (const GemmImplementation& implementation : GemmImplementations())
    if (implementation.supports(args)) return implementation.name;
  return "none";
}

TEST(Arm, DotProductIsUsedWhereTheProcessorHasIt) {
  const char* has = std::getenv("ECLD_TEST_DOT_PRODUCT");
  if (!has) GTEST_SKIP() << "ECLD_TEST_DOT_PRODUCT does not say whether this processor has the dot product";
  const GemmArgs rounded{.weight = {.interleaved = true}, .exact = false};
  EXPECT_EQ(FirstFor(rounded), std::string_view(has) == "1" ? "int8_neon_dot" : "int8_neon");
}

TEST(Arm, ExactProductsTakeNeon) { EXPECT_EQ(FirstFor({}), "neon"); }

}  // namespace
}  // namespace ecld

#endif
