#include "core/ascii.h"

#include <gtest/gtest.h>

namespace ecld {
namespace {

TEST(Ascii, BlanksAreSkippedAtTheBeginning) {
  EXPECT_EQ(SkipBlank(" \t\r\n\v\fa b "), "a b ");
  EXPECT_EQ(SkipBlank(" \n"), "");
  EXPECT_EQ(SkipBlank("\xc2\xa0"), "\xc2\xa0");  // a blank of Unicode
}

TEST(Ascii, OtherScriptsKeepTheirLetters) { EXPECT_EQ(AsciiLower("AZaz09[\xc3\x84"), "azaz09[\xc3\x84"); }

TEST(Ascii, WordsBeginATextInLettersOfEitherSize) {
  EXPECT_TRUE(StartsWithWord("BeArer key", "bearer "));
  EXPECT_FALSE(StartsWithWord("Bear", "bearer "));
  EXPECT_TRUE(StartsWithWord("", ""));
}

}  // namespace
}  // namespace ecld
