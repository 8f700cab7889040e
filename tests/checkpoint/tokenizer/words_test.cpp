// The parts under a tokenizer: merging, normalization, cutting into words.

#include <gtest/gtest.h>
#include <utf8proc.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "checkpoint/tokenizer/bpe.h"
#include "checkpoint/tokenizer/normalizer.h"
#include "checkpoint/tokenizer/pre_tokenizer.h"
#include "core/random.h"
#include "core/unicode.h"
#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

std::string RandomText(Random& random, uint64_t most, const std::vector<uint32_t>& codes) {
  std::string text;
  for (uint64_t n = random.Below(most); n > 0; --n) {
    if (random.Below(16) == 0)
      text += static_cast<char>(128 + random.Below(128));  // breaks the UTF-8
    else
      AppendUtf8(codes[random.Below(codes.size())], text);
  }
  return text;
}

// The definition of BPE, in the plainest words.
std::vector<int32_t> MergedOneByOne(std::vector<int32_t> symbols, const MergeTable& merges) {
  for (;;) {
    size_t best = symbols.size();
    uint32_t rank = MergeTable::kNone;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      if (uint32_t found = merges.Find(symbols[i], symbols[i + 1]).rank; found < rank) {
        rank = found;
        best = i;
      }
    }
    if (rank == MergeTable::kNone) return symbols;
    symbols[best] = merges.Find(symbols[best], symbols[best + 1]).merged;
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

TEST(Bpe, ShortAndLongWordsMergeAsDefined) {
  Vocabulary vocabulary;
  std::vector<std::string> tokens = {"a", "b", "c"};
  std::vector<MergeTable::Merge> merges;
  Random random(7);
  for (int i = 0; i < 40; ++i) {
    size_t left = random.Below(tokens.size()), right = random.Below(tokens.size());
    if (tokens[left].size() + tokens[right].size() > 12) continue;
    std::string merged = tokens[left] + tokens[right];
    auto known = std::find(tokens.begin(), tokens.end(), merged);
    merges.push_back(
        {static_cast<int32_t>(left), static_cast<int32_t>(right), static_cast<int32_t>(known - tokens.begin())});
    if (known == tokens.end()) tokens.push_back(merged);
  }
  for (size_t id = 0; id < tokens.size(); ++id) vocabulary.Add(static_cast<int32_t>(id), tokens[id], true);
  vocabulary.Index();
  MergeTable table(merges);
  BpeModel model({.byte_level = true}, vocabulary, table);
  BpeModel::Scratch scratch;
  for (int i = 0; i < 300; ++i) {
    std::string word;
    std::vector<int32_t> symbols, ids;
    for (uint64_t n = random.Below(160); n > 0; --n) {
      symbols.push_back(static_cast<int32_t>(random.Below(3)));
      word += tokens[static_cast<size_t>(symbols.back())];
    }
    model.Encode(word, scratch, ids);
    EXPECT_EQ(ids, MergedOneByOne(symbols, table)) << word;
  }
}

TEST(Bpe, TheByteAlphabetIsComplete) {
  std::vector<bool> seen(256);
  std::string bytes, token;
  for (uint32_t code = 0; code < 0x200; ++code) {
    token.clear();
    AppendUtf8(code, token);
    if (!BytesOfByteLevelToken(token, bytes)) continue;
    ASSERT_EQ(bytes.size(), 1u);
    EXPECT_FALSE(seen[static_cast<unsigned char>(bytes[0])]) << code;
    seen[static_cast<unsigned char>(bytes[0])] = true;
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 256);
  EXPECT_TRUE(BytesOfByteLevelToken("\xc4\xa0", bytes));
  EXPECT_EQ(bytes, " ");
  EXPECT_FALSE(BytesOfByteLevelToken("a b", bytes));
}

// Only runs of text that can change go through utf8proc; the result must be as if all of it did.
TEST(Nfc, RunsGiveWhatTheWholeGives) {
  const std::vector<uint32_t> codes = {'a',    'e',   0xe9,   0x301,  0x308,  0x323,   0x212b, 0x915,  0x93c,
                                       0x9c7,  0x9be, 0x1100, 0x1161, 0x11a8, 0xac00,  0xac01, 0x4e2d, 0x3042,
                                       0x3099, 0x622, 0x653,  0x627,  0xfb01, 0x1f600, 0x1161, 0x9d7,  0x1d15e};
  Random random(3);
  for (int i = 0; i < 3000; ++i) {
    std::string text;
    for (uint64_t n = random.Below(12); n > 0; --n) AppendUtf8(codes[random.Below(codes.size())], text);
    utf8proc_uint8_t* whole = utf8proc_NFC(reinterpret_cast<const utf8proc_uint8_t*>(text.c_str()));
    std::string storage;
    EXPECT_EQ(ToNfc(text, storage), reinterpret_cast<const char*>(whole)) << text;
    std::free(whole);
  }
}

TEST(Nfc, BrokenBytesStay) {
  std::string storage;
  EXPECT_EQ(ToNfc("\xff"
                  "e\xcc\x81\xcc",
                  storage),
            "\xff\xc3\xa9\xcc");
  std::string plain = "plain \xe4\xb8\xad";
  EXPECT_EQ(ToNfc(plain, storage).data(), plain.data());
}

std::vector<std::string> Words(const char* json, std::string_view text) {
  Json parsed = Json::parse(json);
  std::vector<std::string> words;
  PreTokenizer(JsonView(parsed, "test")).Split(text, true, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

using List = std::vector<std::string>;

TEST(PreTokenizer, Gpt2) {
  const char* json = R"({"type": "ByteLevel", "add_prefix_space": false})";
  EXPECT_EQ(Words(json, "It's  12 x!\n"), (List{"It", "'s", " ", " 12", " x", "!", "\n"}));
  EXPECT_EQ(Words(json,
                  "a\xff\xfe"
                  "b"),
            (List{"a", "\xff\xfe", "b"}));
}

TEST(PreTokenizer, DigitsThenWords) {
  const char* json = R"({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true},
                         {"type": "ByteLevel", "add_prefix_space": false}]})";
  EXPECT_EQ(Words(json, "ab 123\xc2\xbd"), (List{"ab", " ", "1", "2", "3", "\xc2\xbd"}));
}

TEST(PreTokenizer, PatternsMayFollowEachOther) {
  const char* json = R"({"type": "Sequence", "pretokenizers": [
      {"type": "Split", "pattern": {"Regex": "[0-9]+"}, "behavior": "Isolated"},
      {"type": "Split", "pattern": {"Regex": "[a-z]"}, "behavior": "Isolated"},
      {"type": "Split", "pattern": {"String": "-"}, "behavior": "Removed"}]})";
  EXPECT_EQ(Words(json, "ab12-X-34c"), (List{"a", "b", "12", "X", "34", "c"}));
}

TEST(PreTokenizer, SpacesAreThoseOfUnicode) {
  // U+180E is no white space (Unicode 6.3), though PCRE2's \s takes it; U+3000 is.
  const char* json = R"({"type": "Split", "pattern": {"Regex": "\\s+|[^\\s]+"}, "behavior": "Isolated"})";
  EXPECT_EQ(Words(json,
                  "a\xe1\xa0\x8e"
                  "b\xe3\x80\x80"
                  "c"),
            (List{"a\xe1\xa0\x8e"
                  "b",
                  "\xe3\x80\x80", "c"}));
}

TEST(PreTokenizer, Metaspace) {
  const char* first = R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "split": true})";
  EXPECT_EQ(Words(first, "a b  c"), (List{"_a", "_b", "_", "_c"}));
  const char* never = R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "never", "split": false})";
  EXPECT_EQ(Words(never, "a b"), (List{"a_b"}));
}

TEST(PreTokenizer, WordsJoinToTheText) {
  const char* json =
      R"JSON({"type": "Sequence", "pretokenizers": [{"type": "Split", "behavior": "Isolated", "pattern": {"Regex":
    "(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
    {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]})JSON";
  Random random(5);
  for (int i = 0; i < 500; ++i) {
    std::string text =
        RandomText(random, 60, {'a', 'S', '\'', ' ', '\n', '\r', '1', '!', 0xe9, 0x3000, 0x4e2d, 0x1f600});
    std::string joined;
    for (const std::string& word : Words(json, text)) joined += word;
    EXPECT_EQ(joined, text);
  }
}

TEST(PreTokenizer, NothingMayFollowByteLevel) {
  Json json = Json::parse(R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "Digits"}]})");
  EXPECT_ERROR(PreTokenizer(JsonView(json, "test")), "pre-tokenizer \"Digits\" stands after ByteLevel");
}

TEST(Utf8, OnlyWellFormedCharactersCount) {
  for (const char* bad : {"\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xe4\xb8", "\xff"})
    EXPECT_EQ(CharAt(bad, 0).code, kInvalidCodePoint);
  EXPECT_EQ(CharAt("\xf0\x9f\xa6\x99", 0).code, 0x1f999u);
  EXPECT_EQ(ValidRun("abcdefghij\xe4\xb8\xad\xff", 0), 13u);
  EXPECT_EQ(InvalidRun("\xff\xfe"
                       "a",
                       0),
            2u);
}

}  // namespace
}  // namespace ecld
