#include "tests/testing/expect_error.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

TEST(ExpectError, PassesOnTheSaidTextOnly) {
  auto fails = [] { Fail("config.json: hidden_size", "expected a number"); };
  EXPECT_ERROR(fails(), "hidden_size: expected");
  EXPECT_FALSE(ThrowsError(fails, "vocab_size"));
}

TEST(ExpectError, RefusesOtherEndings) {
  EXPECT_FALSE(ThrowsError([] {}, ""));
  EXPECT_FALSE(ThrowsError([] { throw std::runtime_error("boom"); }, "boom"));
}

TEST(TempDir, IsFreshAndRemovedWithItsContent) {
  std::filesystem::path path;
  {
    TempDir one, two;
    path = one.path();
    EXPECT_NE(one.path(), two.path());
    std::filesystem::create_directory(one / "inner");
    std::ofstream(one / "inner/file") << "x";
    EXPECT_TRUE(std::filesystem::exists(path / "inner/file"));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace ecld
