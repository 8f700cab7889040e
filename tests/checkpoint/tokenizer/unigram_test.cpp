#include "checkpoint/tokenizer/unigram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <string>

#include "checkpoint/tokenizer/json_tokenizer.h"
#include "core/json.h"
#include "core/random.h"
#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

using Ids = std::vector<int32_t>;

Json Unigram() {
  return Json::parse(R"({
    "added_tokens": [{"id": 0, "content": "<unk>", "special": true, "normalized": false}],
    "decoder": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "never"},
    "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": false,
              "vocab": [["<unk>", 0], ["a", -2], ["b", -2], ["ab", -3], ["abb", -6.5], ["<0xC3>", -9], ["<0xA9>", -9]]}
  })");
}

std::unique_ptr<Tokenizer> Read(const Json& json) { return ReadJsonTokenizer(json.dump(), "tokenizer.json", {}); }

TEST(Unigram, TheHighestSumOfScoresWins) {
  auto tokenizer = Read(Unigram());
  EXPECT_EQ(tokenizer->Encode("ab", false), Ids{3});        // -3, in place of -4
  EXPECT_EQ(tokenizer->Encode("abb", false), (Ids{3, 2}));  // -5, in place of -6 or -6.5
  EXPECT_EQ(tokenizer->Encode("", false), Ids{});
}

TEST(Unigram, NeighboursWithoutTokenAreOneUnknownOrBytes) {
  Json json = Unigram();
  EXPECT_EQ(Read(json)->Encode("axyb", false), (Ids{1, 0, 2}));
  EXPECT_EQ(Read(json)->Encode("\xc3\xa9", false), Ids{0});
  json["model"]["byte_fallback"] = true;
  EXPECT_EQ(Read(json)->Encode("a\xc3\xa9", false), (Ids{1, 5, 6}));
  EXPECT_EQ(Read(json)->Encode("x", false), Ids{0});  // "<0x78>" is no token
  json["model"].erase("unk_id");
  json["added_tokens"] = Json::array();
  EXPECT_ERROR(Read(json)->Encode("x", false), "has a character without a token");
}

TEST(Unigram, WhatOtherModelsHaveSaysNothing) {
  Json json = Unigram();
  json["model"]["merges"] = {"a b"};
  json["model"]["unk_token"] = "none";
  EXPECT_EQ(Read(json)->Encode("ab", false), Ids{3});
}

// Every way to cut a word, tried in full.
TEST(Unigram, ViterbiFindsTheBestCut) {
  Random random(4);
  for (int round = 0; round < 60; ++round) {
    Vocabulary vocabulary;
    std::vector<double> scores;
    std::vector<std::string> tokens = {"a", "b", "c"};
    for (int i = 0; i < 12; ++i) {
      std::string token;
      for (uint64_t n = 2 + random.Below(4); n > 0; --n) token += "abc"[random.Below(3)];
      if (std::find(tokens.begin(), tokens.end(), token) == tokens.end()) tokens.push_back(token);
    }
    for (size_t id = 0; id < tokens.size(); ++id) {
      vocabulary.Add(static_cast<int32_t>(id), tokens[id], true);
      scores.push_back(-static_cast<double>(random.Below(1000)));
    }
    vocabulary.Index();
    const UnigramModel model({}, vocabulary, scores);
    std::function<double(std::string_view)> best = [&](std::string_view word) {
      if (word.empty()) return 0.0;
      double found = -std::numeric_limits<double>::infinity();
      for (size_t id = 0; id < tokens.size(); ++id)
        if (word.starts_with(tokens[id])) found = std::max(found, scores[id] + best(word.substr(tokens[id].size())));
      return found;
    };
    std::string word;
    for (uint64_t n = random.Below(10); n > 0; --n) word += "abc"[random.Below(3)];
    UnigramModel::Scratch scratch;
    Ids ids;
    model.Encode(word, scratch, ids);
    std::string joined;
    double score = 0;
    for (int32_t id : ids) {
      joined += tokens[static_cast<size_t>(id)];
      score += scores[static_cast<size_t>(id)];
    }
    EXPECT_EQ(joined, word);
    EXPECT_EQ(score, best(word)) << word;  // sums of whole numbers
  }
}

}  // namespace
}  // namespace ecld
