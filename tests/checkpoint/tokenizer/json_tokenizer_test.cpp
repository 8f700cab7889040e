// tokenizer.json files made here: what they do, and what is said about those that are wrong.

#include "checkpoint/tokenizer/json_tokenizer.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "core/json.h"
#include "core/random.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

using Ids = std::vector<int32_t>;

std::unique_ptr<Tokenizer> Read(const Json& json) { return ReadJsonTokenizer(json.dump(), "tokenizer.json", {}); }

// Letters a to d, space and line feed, with merges ab, abc, and a special token.
Json ByteLevel() {
  return Json::parse(R"({
    "added_tokens": [{"id": 9, "content": "<s>", "special": true, "normalized": false}],
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "post_processor": null,
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "unk_token": null,
              "vocab": {"a": 0, "b": 1, "c": 2, "d": 3, "\u0120": 4, "\u010a": 5, "ab": 6, "abc": 7, "\u0120a": 8},
              "merges": ["\u0120 a", "a b", "ab c"]}
  })");
}

// As sentencepiece models look when converted: a mark for spaces, bytes for what has no token.
Json ByteFallback() {
  return Json::parse(R"({
    "added_tokens": [{"id": 0, "content": "<unk>", "special": true, "normalized": false}],
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "_"},
                   {"type": "Replace", "pattern": {"String": " "}, "content": "_"}]},
    "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "_"}, "content": " "},
                {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": true, "fuse_unk": true,
              "vocab": {"<unk>": 0, "a": 1, "_": 2, "_a": 3, "<0xC3>": 4, "<0xA9>": 5, "<0xFF>": 6},
              "merges": [["_", "a"]]}
  })");
}

TEST(JsonTokenizer, MergesLowestRankFirst) {
  auto tokenizer = Read(ByteLevel());
  EXPECT_EQ(tokenizer->Encode("abc", false), Ids{7});
  EXPECT_EQ(tokenizer->Encode("bab abc", false), (Ids{1, 6, 8, 1, 2}));  // " a" has the lower rank
  EXPECT_EQ(tokenizer->Encode("", true), Ids{});
  EXPECT_EQ(tokenizer->Decode({}, false), "");
}

TEST(JsonTokenizer, IgnoreMergesTakesWholeWords) {
  Json json = ByteLevel();
  json["model"]["vocab"]["cab"] = 9;
  json["added_tokens"][0]["id"] = 10;
  EXPECT_EQ(Read(json)->Encode("cab", false), (Ids{2, 6}));
  json["model"]["ignore_merges"] = true;
  EXPECT_EQ(Read(json)->Encode("cab", false), Ids{9});
}

TEST(JsonTokenizer, AByteWithoutTokenIsLeftOutOrUnknown) {
  Json json = ByteLevel();
  EXPECT_EQ(Read(json)->Encode("azzc", false), (Ids{0, 2}));
  json["model"]["unk_token"] = "d";
  EXPECT_EQ(Read(json)->Encode("azzc", false), (Ids{0, 3, 3, 2}));
  json["model"]["fuse_unk"] = true;
  EXPECT_EQ(Read(json)->Encode("azzc", false), (Ids{0, 3, 2}));
}

TEST(JsonTokenizer, AddedTokens) {
  Json json = ByteLevel();
  json["added_tokens"] = Json::parse(R"([
    {"id": 9, "content": "dd", "single_word": true, "normalized": false},
    {"id": 10, "content": "<l>", "lstrip": true, "rstrip": true, "special": true},
    {"id": 11, "content": "<l><l>", "special": true}])");
  auto tokenizer = Read(json);
  EXPECT_EQ(tokenizer->Encode("a dd", false), (Ids{0, 4, 9}));
  EXPECT_EQ(tokenizer->Encode("add", false), (Ids{0, 3, 3}));
  EXPECT_EQ(tokenizer->Encode("a \n<l> b", false), (Ids{0, 10, 1}));
  EXPECT_EQ(tokenizer->Encode("<l><l><l>", false), (Ids{11, 10}));  // the longest first
  EXPECT_EQ(tokenizer->Decode(Ids{0, 11, 9}, true), "add");
  EXPECT_EQ(tokenizer->Decode(Ids{0, 11, 9}, false), "a<l><l>dd");
  EXPECT_EQ(tokenizer->vocab_size(), 12);
  EXPECT_EQ(tokenizer->IdOf("<l>"), 10);
  EXPECT_EQ(tokenizer->IdOf("nothing"), std::nullopt);
}

// As transformers has it: a new token gets the id after the last one, in the order of the file, whatever the file says.
TEST(JsonTokenizer, AddedTokensLeaveNoHoles) {
  Json json = ByteLevel();
  json["added_tokens"] = Json::parse(R"([{"id": 30, "content": "<y>"}, {"id": 12, "content": "<x>"},
                                         {"id": 7, "content": "abc"}])");
  auto tokenizer = Read(json);
  EXPECT_EQ(tokenizer->Encode("<x><y>abc", false), (Ids{10, 9, 7}));
  json["added_tokens"] = Json::parse(R"([{"id": 30, "content": "<y>"}])");
  json["model"]["vocab"]["cab"] = 20;  // ten tokens now
  EXPECT_EQ(Read(json)->Encode("<y>", false), Ids{10});
  json["model"]["vocab"]["cab"] = 10;
  EXPECT_ERROR(Read(json), "adds \"<y>\", which would get id 10; but that is another token of tokenizer.json");
}

TEST(JsonTokenizer, RobertaAndBertProcessing) {
  Json json = ByteLevel();
  json["post_processor"] = Json::parse(R"({"type": "RobertaProcessing", "sep": ["abc", 7], "cls": ["<s>", 9],
                                           "trim_offsets": true, "add_prefix_space": false})");
  EXPECT_EQ(Read(json)->Encode("a", true), (Ids{9, 0, 7}));
  EXPECT_EQ(Read(json)->Encode("a", false), Ids{0});
  json["post_processor"] = Json::parse(R"({"type": "BertProcessing", "sep": ["d", 3], "cls": ["c", 2]})");
  EXPECT_EQ(Read(json)->Encode("a", true), (Ids{2, 0, 3}));
}

TEST(JsonTokenizer, TruncationAndPaddingAreForBatches) {
  Json json = ByteLevel();
  json["truncation"] =
      Json::parse(R"({"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0})");
  json["padding"] = Json::parse(R"({"strategy": {"Fixed": 8}, "direction": "Right", "pad_id": 0, "pad_token": "a"})");
  EXPECT_EQ(Read(json)->Encode("ba", true), (Ids{1, 0}));
}

TEST(JsonTokenizer, AMissingModelTypeAndAByteOrderMark) {
  Json json = ByteLevel();
  json["model"].erase("type");
  EXPECT_EQ(ReadJsonTokenizer("\xef\xbb\xbf" + json.dump(), "tokenizer.json", {})->Encode("abc", false), Ids{7});
}

// Metaspace takes all spaces off the first token of a text, and leaves those of the others.
TEST(JsonTokenizer, MetaspaceDecodes) {
  Json json = ByteLevel();
  json["pre_tokenizer"] = Json::parse(R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "always"})");
  json["decoder"] = json["pre_tokenizer"];
  json["model"]["vocab"] = Json::parse(R"({"a": 0, "_": 1, "_a": 2})");
  json["model"]["merges"] = {"_ a"};
  json["added_tokens"] = Json::array();
  auto tokenizer = Read(json);
  EXPECT_EQ(tokenizer->Encode("a  a", false), (Ids{2, 1, 2}));
  EXPECT_EQ(tokenizer->Decode(Ids{2, 1, 2}, false), "a  a");
  EXPECT_EQ(tokenizer->Decode(Ids{1, 2}, false), " a");
}

TEST(JsonTokenizer, TemplateStandsAroundTheText) {
  Json json = ByteLevel();
  json["post_processor"] = Json::parse(R"({"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
               {"SpecialToken": {"id": "<s>", "type_id": 0}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [9], "tokens": ["<s>"]}}})");
  auto tokenizer = Read(json);
  EXPECT_EQ(tokenizer->Encode("a", true), (Ids{9, 0, 9}));
  EXPECT_EQ(tokenizer->Encode("a", false), Ids{0});
  EXPECT_EQ(tokenizer->Encode("", true), (Ids{9, 9}));
  EXPECT_EQ(tokenizer->bos(), 9);
}

TEST(JsonTokenizer, FallsBackToBytes) {
  auto tokenizer = Read(ByteFallback());
  EXPECT_EQ(tokenizer->Encode("a a", false), (Ids{3, 3}));
  EXPECT_EQ(tokenizer->Encode("\xc3\xa9", false), (Ids{2, 4, 5}));
  EXPECT_EQ(tokenizer->Encode("zza", false), (Ids{2, 0, 1}));
  for (std::string text : {"a a", "\xc3\xa9", " a", "a\xff"})
    EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(text, false), false), text);
}

TEST(JsonTokenizer, AnyBytesSurviveInAnyThread) {
  TempDir directory;
  WriteTinyTokenizer(directory.path());
  auto tokenizer = Tokenizer::Open(directory.path());
  auto work = [&](uint64_t seed) {
    Random random(seed);
    for (int i = 0; i < 200; ++i) {
      std::string bytes;
      for (uint64_t n = random.Below(200); n > 0; --n)
        bytes += random.Below(3) == 0 ? static_cast<char>(random.Below(256)) : "the and of\n"[random.Below(11)];
      EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(bytes, true), false), bytes);
    }
  };
  std::vector<std::thread> threads;
  for (uint64_t seed = 0; seed < 4; ++seed) threads.emplace_back(work, seed);
  for (std::thread& thread : threads) thread.join();
}

TEST(JsonTokenizer, RefusesIdsOutsideTheVocabulary) {
  auto tokenizer = Read(ByteLevel());
  EXPECT_ERROR(tokenizer->Decode(Ids{0, 10}, false), "token id 10 is not in the vocabulary (of 10 ids)");
  EXPECT_ERROR(tokenizer->Decode(Ids{-1}, false), "token id -1 is not in the vocabulary");
}

TEST(JsonTokenizer, EveryTruncationIsAnError) {
  std::string whole = ByteLevel().dump();
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_THROW(ReadJsonTokenizer(whole.substr(0, size), "tokenizer.json", {}), Error) << size;
}

// One change each: a JSON pointer, the new value, and what the error says.
struct Wrong {
  const char* at;
  const char* value;
  const char* message;
};

TEST(JsonTokenizer, SaysWhatIsWrongAndWhere) {
  const Wrong wrongs[] = {
      {"/model/type", R"("WordPiece")", "model.type: model \"WordPiece\" is not supported (supported: BPE, Unigram)"},
      {"/model/vocab", R"(["a"])", "model.vocab"},
      {"/model/vocab/a", R"("0")", "model.vocab[\"a\"]: expected a token id from 0 to"},
      {"/model/vocab/a", "5000000", "model.vocab[\"a\"]: expected a token id from 0 to"},
      {"/model/vocab/a", "-1", "model.vocab[\"a\"]: expected a token id from 0 to"},
      {"/model/vocab/a", "18446744073709551615", "model.vocab[\"a\"]: expected a token id from 0 to"},
      {"/model/vocab/a", "1", "has id 1, which another token has already"},
      {"/model/vocab/a", R"({"id": 1})", "model.vocab[\"a\"]"},
      {"/model/merges", R"({"a": "b"})", "model.merges"},
      {"/model/merges", R"(["a x"])", "model.merges[0]: \"x\" is not in model.vocab"},
      {"/model/merges", R"(["a c"])", "model.merges[0]: \"ac\" is not in model.vocab"},
      {"/model/merges", R"(["ab"])", "model.merges[0]: expected two tokens with one space between them"},
      {"/model/merges", R"([["a", "b", "c"]])", "model.merges[0]: expected a pair of tokens, found 3 elements"},
      {"/model/merges", R"([1])", "model.merges[0]: expected a string"},
      {"/model/unk_token", R"("x")", "model.unk_token: \"x\" is not in model.vocab"},
      {"/model/dropout", "0.1", "model.dropout: is not supported"},
      {"/model/end_of_word_suffix", R"("</w>")", "model.end_of_word_suffix: is not supported"},
      {"/added_tokens", R"([{"id": 3, "content": "x"}])", "added_tokens[0]: id 3 is given to \"x\""},
      {"/added_tokens", R"([{"id": 11, "content": "ab"}])", "added_tokens[0]: \"ab\" has id 11, but 6 in model.vocab"},
      {"/added_tokens", R"([{"id": 11, "content": "x"}, {"id": 11, "content": "y"}])",
       "added_tokens[1]: id 11 is given to two added tokens"},
      {"/added_tokens", R"([{"id": 9}])", "added_tokens[0]: key \"content\" is missing"},
      {"/added_tokens", R"([{"id": 99999999999, "content": "x"}])", "token id 99999999999 is outside"},
      {"/normalizer", R"({"type": "BertNormalizer"})", "normalizer: normalizer \"BertNormalizer\" is not supported"},
      {"/normalizer", R"({"type": "Replace", "pattern": {"Regex": "("}, "content": ""})",
       "normalizer.pattern.Regex: not a valid regular expression"},
      {"/normalizer", R"({"type": "Replace", "pattern": {"String": ""}, "content": ""})", "to look for is empty"},
      {"/normalizer", R"({"type": "Precompiled", "precompiled_charsmap": "A*"})",
       "precompiled_charsmap: is not base64"},
      {"/normalizer", R"({"type": "Precompiled", "precompiled_charsmap": "AAAA"})", "is no table of sentencepiece"},
      {"/pre_tokenizer", R"({"type": "CharDelimiterSplit", "delimiter": ""})", "delimiter: is empty"},
      {"/pre_tokenizer", R"({"type": "Sequence", "pretokenizers": [{"type": "UnicodeScripts"}]})",
       "pre_tokenizer.pretokenizers[0]: pre-tokenizer \"UnicodeScripts\" is not supported"},
      {"/pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated"})",
       "pre_tokenizer.pattern.Regex: not a valid regular expression"},
      {"/pre_tokenizer", R"({"type": "Split", "pattern": {"String": "a"}, "behavior": "Sideways"})",
       "pre_tokenizer.behavior: \"Sideways\" is unknown"},
      {"/decoder", "null", "decoder: null is not supported"},
      {"/decoder", R"({"type": "WordPiece"})", "decoder: decoder \"WordPiece\" is not supported"},
      {"/post_processor", R"({"type": "Other"})", "post_processor: post-processor \"Other\" is not supported"},
      {"/post_processor", R"({"type": "BertProcessing", "sep": ["x", 77], "cls": ["a", 0]})",
       "post_processor.sep[1]: id 77 is not in the vocabulary"},
      {"/model", R"({"type": "Unigram", "vocab": [["a"]]})", "model.vocab[0]: expected a token and its score"},
      {"/model", R"({"type": "Unigram", "vocab": []})", "model.vocab: is empty"},
      {"/model", R"({"type": "Unigram", "vocab": [["a", 0]], "unk_id": 1})",
       "model.unk_id: id 1 is not in the vocabulary"},
      {"/model", R"({"type": "Unigram", "vocab": {"a": 0}})",
       "model.vocab: expected an array of tokens and their scores"},
      // No field is skipped unread.
      {"/more", "1", "tokenizer.json: key \"more\" is unknown"},
      {"/model/alpha", "0.5", "model: key \"alpha\" is unknown"},
      {"/added_tokens/0/extra", "1", "added_tokens[0]: key \"extra\" is unknown"},
      {"/pre_tokenizer/split", "true", "pre_tokenizer: key \"split\" is unknown"},
      {"/decoder/cleanup", "true", "decoder: key \"cleanup\" is unknown"},
      {"/normalizer", R"({"type": "NFC", "form": 1})", "normalizer: key \"form\" is unknown"},
      {"/post_processor", R"({"type": "TemplateProcessing", "special_tokens": {"x": {"ids": [77]}}, "single": [
        {"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}}]})",
       "id 77 is not in the vocabulary"},
      {"/post_processor", R"({"type": "TemplateProcessing", "single": []})", "the text itself is missing"},
  };
  for (const Wrong& wrong : wrongs) {
    Json json = ByteLevel();
    json[Json::json_pointer(wrong.at)] = Json::parse(wrong.value);
    EXPECT_ERROR(Read(json), wrong.message);
    EXPECT_ERROR(Read(json), "tokenizer.json");
  }
  EXPECT_ERROR(Read(22), "tokenizer.json: expected an object, found 22");
}

TEST(JsonTokenizer, RefusesDeepNesting) {
  EXPECT_ERROR(ReadJsonTokenizer(std::string(100000, '['), "tokenizer.json", {}), "nested deeper than");
}

TEST(Tokenizer, SaysWhatADirectoryLacks) {
  TempDir directory;
  EXPECT_ERROR(Tokenizer::Open(directory.path()), "holds no tokenizer, expected tokenizer.json or tokenizer.model");
}

}  // namespace
}  // namespace ecld
