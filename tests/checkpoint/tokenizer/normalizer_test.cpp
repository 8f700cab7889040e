// The steps of normalizers and pre-tokenizers, one by one; what they give was derived by hand from their definitions.

#include "checkpoint/tokenizer/normalizer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "checkpoint/tokenizer/charsmap.h"
#include "checkpoint/tokenizer/pre_tokenizer.h"
#include "core/json.h"
#include "core/unicode.h"
#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

std::string Normalized(const char* json, std::string_view text) {
  const Json parsed = Json::parse(json);
  std::string storage;
  return std::string(Normalizer(JsonView(parsed, "test")).Apply(text, storage));
}

TEST(Normalizer, NormalizationForms) {
  const std::string text = "\xef\xac\x81\xc3\xa9";  // U+FB01, the ligature fi, and U+00E9
  EXPECT_EQ(Normalized(R"({"type": "NFD"})", text),
            "\xef\xac\x81"
            "e\xcc\x81");
  EXPECT_EQ(Normalized(R"({"type": "NFKD"})", text), "fie\xcc\x81");
  EXPECT_EQ(Normalized(R"({"type": "NFKC"})",
                       "\xef\xac\x81"
                       "e\xcc\x81"),
            "fi\xc3\xa9");
  EXPECT_EQ(Normalized(R"({"type": "NFKC"})", "\xff\xef\xac\x81\xff"),
            "\xff"
            "fi\xff");  // broken bytes stay
}

TEST(Normalizer, Lowercase) {
  EXPECT_EQ(Normalized(R"({"type": "Lowercase"})", "A\xc3\x89\xce\xa3z"), "a\xc3\xa9\xcf\x83z");
  EXPECT_EQ(Normalized(R"({"type": "Lowercase"})", "\xc4\xb0\xff"), "i\xcc\x87\xff");  // U+0130 becomes two
}

TEST(Normalizer, StripAccentsTakesMarks) {
  EXPECT_EQ(Normalized(R"({"type": "StripAccents"})", "e\xcc\x81\xe2\x83\x9dx\xc3\xa9"), "ex\xc3\xa9");
  EXPECT_EQ(
      Normalized(R"({"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}]})", "\xc3\xa9"),
      "e");
}

TEST(Normalizer, Strip) {
  EXPECT_EQ(Normalized(R"({"type": "Strip", "strip_left": true, "strip_right": false})", "\xe3\x80\x80 a "), "a ");
  EXPECT_EQ(Normalized(R"({"type": "Strip", "strip_left": false, "strip_right": true})", " a\n\xe3\x80\x80"), " a");
  EXPECT_EQ(Normalized(R"({"type": "Strip", "strip_left": true, "strip_right": true})", " \n "), "");
}

TEST(Normalizer, NmtTakesControlsAndMakesSpaces) {
  EXPECT_EQ(Normalized(R"({"type": "Nmt"})", "a\x01\tb\xe2\x80\x8b\xef\xbb\xbf"), "a b  ");
}

TEST(Normalizer, ReplaceByPattern) {
  EXPECT_EQ(Normalized(R"({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "_"})", "a  b c   "), "a_b c_");
}

// A trie with two keys, "a" -> "xy" and "b" -> "", laid out by hand in the double array of the Darts-clone library:
// unit 0 has the offset 1 << 10; a key's byte leads to unit 1 ^ byte, whose offset leads to the unit of the value.
std::string TwoKeys() {
  std::vector<uint32_t> units(256, 0);
  units[0] = 1u << 10;
  auto put = [&](unsigned char byte, uint32_t leaf_at, uint32_t value) {
    const uint32_t at = 1u ^ byte;
    units[at] = (at ^ leaf_at) << 10 | 1u << 8 | byte;
    units[leaf_at] = value | 0x80000000u;
  };
  put('a', 200, 0);
  put('b', 201, 3);
  std::string bytes;
  auto word = [&](uint32_t value) {
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  };
  word(static_cast<uint32_t>(4 * units.size()));
  for (uint32_t unit : units) word(unit);
  bytes += std::string("xy\0\0", 4);
  const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string base64;
  uint32_t bits = 0;
  int count = 0;
  for (unsigned char byte : bytes) {
    bits = bits << 8 | byte;
    for (count += 8; count >= 6; count -= 6) base64 += digits[bits >> (count - 6) & 63];
  }
  if (count > 0) base64 += digits[bits << (6 - count) & 63];
  return base64 + "=";
}

TEST(Charsmap, ReplacesByItsTable) {
  const Charsmap map(TwoKeys(), "test");
  EXPECT_EQ(map.Apply("cab\xc3\xa9"
                      "a\xff"),
            "cxy\xc3\xa9xy\xff");
  // A short grapheme is replaced whole by what its first entry says.
  EXPECT_EQ(map.Apply("a\xcc\x81z"), "xyz");
}

std::vector<std::string> Words(const std::string& json, std::string_view text) {
  const Json parsed = Json::parse(json);
  std::vector<std::string> words;
  PreTokenizer(JsonView(parsed, "test")).Split(text, true, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

using List = std::vector<std::string>;

TEST(PreTokenizer, PatternsMeanWhatTheyMeanInOniguruma) {
  auto split = [](const char* pattern, const char* text) {
    return Words(Json{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}}.dump(), text);
  };
  EXPECT_EQ(split("^th", "the\nthe"), (List{"th", "e\n", "th", "e"})) << "at every line";
  EXPECT_EQ(split("[]a]+", "b]a"), (List{"b", "]a"}));
  for (const char* pattern : {"[a-z&&[^aeiou]]", "[a[b]]", "(?m)a.b", "\\h", "a{,2}"})
    EXPECT_ERROR(split(pattern, "a"), "is not supported, at") << pattern;
}

TEST(PreTokenizer, WhatBecomesOfMatches) {
  auto split = [](const char* behavior, bool invert) {
    return Words(
        Json{{"type", "Split"}, {"pattern", {{"String", "-"}}}, {"behavior", behavior}, {"invert", invert}}.dump(),
        "-a--b-");
  };
  EXPECT_EQ(split("Isolated", false), (List{"-", "a", "-", "-", "b", "-"}));
  EXPECT_EQ(split("Removed", false), (List{"a", "b"}));
  EXPECT_EQ(split("Removed", true), (List{"-", "-", "-", "-"}));
  EXPECT_EQ(split("MergedWithPrevious", false), (List{"-", "a-", "-", "b-"}));
  EXPECT_EQ(split("MergedWithNext", false), (List{"-a", "-", "-b", "-"}));
  EXPECT_EQ(split("Contiguous", false), (List{"-", "a", "--", "b", "-"}));
  EXPECT_EQ(split("MergedWithNext", true), (List{"-", "a-", "-", "b-"}));
}

TEST(PreTokenizer, ByKindOfCharacter) {
  EXPECT_EQ(Words(R"({"type": "Punctuation"})", "a.$b_\xe3\x80\x82"), (List{"a", ".", "$", "b", "_", "\xe3\x80\x82"}));
  EXPECT_EQ(Words(R"({"type": "Punctuation", "behavior": "Contiguous"})", "a..b"), (List{"a", "..", "b"}));
  EXPECT_EQ(Words(R"({"type": "WhitespaceSplit"})", " a.b\n c"), (List{"a.b", "c"}));
  EXPECT_EQ(Words(R"({"type": "Whitespace"})", " a_1.,b\n c"), (List{"a_1", ".,", "b", "c"}));
  EXPECT_EQ(Words(R"({"type": "BertPreTokenizer"})", "a.b c"), (List{"a", ".", "b", "c"}));
  EXPECT_EQ(Words(R"({"type": "CharDelimiterSplit", "delimiter": "x"})", "axbx"), (List{"a", "b"}));
  EXPECT_EQ(Words(R"({"type": "Digits", "individual_digits": false})", "a12 3"), (List{"a", "12", " ", "3"}));
}

TEST(Utf8, WordCharactersAreThoseOfRegularExpressions) {
  for (uint32_t code : {0x61u, 0x663u, 0x301u, 0x5fu, 0x2167u, 0x24b6u, 0x200du}) EXPECT_TRUE(IsWordCharacter(code));
  for (uint32_t code : {0x20u, 0xbdu, 0x2460u, 0x2du, 0x1f600u}) EXPECT_FALSE(IsWordCharacter(code));
}

}  // namespace
}  // namespace ecld
