#include "prune/vocab.h"

#include <gtest/gtest.h>

#include <numeric>

#include "checkpoint/tokenizer/token_map.h"
#include "checkpoint/tokenizer/tokenizer.h"
#include "core/files.h"
#include "runtime/session.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/packed_checkpoint.h"
#include "tests/testing/run_pass.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

// Bytes a, b, c (0 to 2, fixed), ab (3) = a b, abc (4) = ab c, bc (5) = b c, a row without a token (6), and one that no
// merges lead to (7), of three bytes.
MergeTree SmallTree() {
  MergeTree tree;
  tree.tokens.resize(8);
  for (size_t id = 0; id < 8; ++id) tree.tokens[id].present = id != 6;
  for (size_t id = 0; id < 3; ++id) tree.tokens[id].fixed = true;
  tree.tokens[3] = {.present = true, .left = 0, .right = 1, .rank = 0, .symbols = 2};
  tree.tokens[4] = {.present = true, .left = 3, .right = 2, .rank = 1, .symbols = 3};
  tree.tokens[5] = {.present = true, .left = 1, .right = 2, .rank = 2, .symbols = 2};
  tree.tokens[7].symbols = 3;
  tree.merges = 3;
  return tree;
}

using Ids = std::vector<int32_t>;

TEST(ChooseTokens, TakesAwayWhatLengthensTheTextLeast) {
  //                             a  b  c  ab abc bc    7
  const std::vector<double> n = {9, 9, 9, 0, 8, 5, 0, 1};
  const MergeTree tree = SmallTree();
  EXPECT_EQ(LeastTokens(tree), 3);
  EXPECT_EQ(ChooseTokens(tree, n, 8), (Ids{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(ChooseTokens(tree, n, 7), (Ids{0, 1, 2, 3, 4, 5, 7}));  // a row without a token
  EXPECT_EQ(ChooseTokens(tree, n, 6), (Ids{0, 1, 2, 3, 4, 5}));     // one occurrence, two tokens more
  EXPECT_EQ(ChooseTokens(tree, n, 5), (Ids{0, 1, 2, 3, 4}));        // ab is never seen, but abc is made of it
  EXPECT_EQ(ChooseTokens(tree, n, 4), (Ids{0, 1, 2, 3}));           // whose occurrences are now those of ab
  EXPECT_EQ(ChooseTokens(tree, n, 3), (Ids{0, 1, 2}));
}

TEST(ChooseTokens, OfEqualOnesTheOneMergedLastGoes) {
  EXPECT_EQ(ChooseTokens(SmallTree(), std::vector<double>(8, 0), 5), (Ids{0, 1, 2, 3, 4}));
}

TEST(ExpectedCounts, AreTheCountsAndThePriorByRank) {
  const std::vector<double> counted = {1, 2, 3, 4, 0, 0, 0, 0};
  const std::vector<double> expected = ExpectedCounts(SmallTree(), counted, 300);
  EXPECT_NEAR(std::reduce(expected.begin(), expected.end()), 310, 1e-9);
  for (size_t id : {0, 1, 2, 6, 7}) EXPECT_EQ(expected[id], counted[id]);
  EXPECT_GT(expected[3] - 4, expected[4]);
  EXPECT_GT(expected[4], expected[5]);
  EXPECT_NEAR(expected[4] / expected[5], (kPriorShift + 2) / (kPriorShift + 1), 1e-9);
  EXPECT_EQ(ExpectedCounts(SmallTree(), counted, 0), counted);
}

class PruneVocab : public testing::Test {
 protected:
  PruneVocab() {
    WriteFileAtomically(dir_ / "text", "the other man and the thing on the water is in a house of stone");
    texts_ = {TextSource(dir_ / "text")};
  }

  fs::path Model(const TinyOptions& options = {}) const {
    if (!fs::exists(dir_ / "model")) WriteTinyCheckpoint(dir_ / "model", options);
    return dir_ / "model";
  }
  Json Prune(const PruneVocabOptions& options, const fs::path& from, const char* to = "out") const {
    return RunPass(PruneVocabPass(options), from, dir_ / to, {}, nullptr, {}, texts_);
  }
  Planned Plan(const PruneVocabOptions& options) const {
    PlanInput input = PlanInputOf(Checkpoint::Open(Model()), {});
    input.texts = texts_;
    return PruneVocabPass(options).Plan(input);
  }

  static std::vector<float> Logits(const fs::path& directory, const Ids& ids) {
    const RuntimeModel model(Checkpoint::Open(directory), {});
    ThreadPool pool(1);
    Session session(model, pool);
    KvCache cache(model);
    std::vector<float> logits(ids.size() * static_cast<size_t>(model.config().vocab_size));
    session.Logits(session.Forward({{&cache, ids}}), logits);
    return logits;
  }

  TempDir dir_;
  std::vector<TextSource> texts_;
};

TEST_F(PruneVocab, LogitsOfWhatIsKeptAreTheSameForEveryFamily) {
  for (const Family family : kEveryFamily)
    for (const bool tied : {false, true}) {
      fs::remove_all(dir_ / "model");
      fs::remove_all(dir_ / "out");
      const fs::path model = Model({.family = family, .dtype = DType::kBF16, .tied = tied});
      Prune({.tokens = 272, .multiple_of = 1}, model);
      const TokenMap map = *ReadTokenMap(dir_ / "out");
      ASSERT_EQ(map.old_ids.size(), 272u);
      Ids now(60);
      for (size_t i = 0; i < now.size(); ++i) now[i] = static_cast<int32_t>((i * 37) % 272);
      Ids before = now;
      for (int32_t& id : before) id = map.old_ids[static_cast<size_t>(id)];
      const std::vector<float> whole = Logits(model, before), cut = Logits(dir_ / "out", now);
      for (size_t row = 0; row < now.size(); ++row)
        for (size_t id = 0; id < 272; ++id)
          ASSERT_EQ(cut[row * 272 + id], whole[row * 300 + static_cast<size_t>(map.old_ids[id])]);
    }
}

TEST_F(PruneVocab, KeepsWhatTheTextNeedsAndSaysWhatBecameOfIt) {
  const Json report = Prune({.tokens = 266, .multiple_of = 1, .prior = 0}, Model());
  const auto tokenizer = Tokenizer::Open(dir_ / "out");
  for (const char* token : {" the", "he", " t", "on"}) EXPECT_TRUE(tokenizer->IdOf(token)) << token;
  EXPECT_FALSE(tokenizer->IdOf(" c"));
  EXPECT_EQ(report["tokens_before"], 300);
  EXPECT_EQ(report["tokens_after"], 266);
  EXPECT_EQ(report["rewritten"], Json({"tokenizer.json"}));
  const Json text = report["texts"][0];
  const std::string content = ReadFile(dir_ / "text");
  EXPECT_EQ(text["tokens_before"], Tokenizer::Open(Model())->Encode(content, true).size());
  EXPECT_EQ(text["tokens_after"], tokenizer->Encode(content, true).size());
  EXPECT_GT(text["longer"].get<double>(), 0);
}

TEST_F(PruneVocab, WhatNoTextUsesCostsNoLength) {
  const Json report = Prune({.tokens = 280, .multiple_of = 1, .prior = 0}, Model());
  EXPECT_EQ(report["texts"][0]["longer"], 0);
}

TEST_F(PruneVocab, IdsOfTheConfigFollow) {
  Json config = ReadJsonFile(Model() / "config.json");
  config["eos_token_id"] = {2, 282};  // " of"; a token that a file names stays
  config["pad_token_id"] = 281;
  WriteJsonFile(Model() / "config.json", config);
  Prune({.tokens = 265, .multiple_of = 1}, Model());
  const Checkpoint out = Checkpoint::Open(dir_ / "out");
  EXPECT_EQ(out.config().vocab_size, 265);
  const std::vector<int32_t> old = ReadTokenMap(dir_ / "out")->old_ids;
  ASSERT_EQ(out.config().eos_ids.size(), 2u);
  EXPECT_EQ(old[static_cast<size_t>(out.config().eos_ids[1])], 282);
  const auto pad = ReadJsonFile(dir_ / "out" / "config.json")["pad_token_id"].get<size_t>();
  EXPECT_EQ(old[pad], 281);
}

TEST_F(PruneVocab, TwiceGivesAMapToTheFirst) {
  Prune({.tokens = 275, .multiple_of = 1}, Model());
  Prune({.tokens = 266, .multiple_of = 1}, dir_ / "out", "twice");
  const TokenMap once = *ReadTokenMap(dir_ / "out"), twice = *ReadTokenMap(dir_ / "twice");
  EXPECT_EQ(twice.vocab_size, 300);
  EXPECT_EQ(twice.old_ids.size(), 266u);
  EXPECT_TRUE(std::ranges::includes(once.old_ids, twice.old_ids));
}

TEST_F(PruneVocab, ASharePlansTheSameAndRoundsUp) {
  EXPECT_EQ(Plan({.tokens = 270, .multiple_of = 20}).config.vocab_size, 280);
  EXPECT_EQ(Plan({.tokens = 0.9, .multiple_of = 20}).config.vocab_size, 280);
  EXPECT_EQ(Plan({.tokens = 1, .multiple_of = 20}).config.vocab_size, 300);
  const Planned planned = Plan({.tokens = 280, .multiple_of = 20});
  EXPECT_EQ(planned.output_B, WeightFileBytes(planned.config));
}

TEST_F(PruneVocab, WhatCannotBeIsRefusedWithWhatCould) {
  const std::string where = "recipe.yaml:3: stages[0]";
  EXPECT_ERROR(Plan({.tokens = 100, .multiple_of = 20}),
               where +
                   ".tokens: 100 is below what cannot go: bytes, special and added tokens and their parts; the "
                   "least is 260");
  EXPECT_ERROR(Plan({.tokens = 301}), where + ".tokens: 301 is more than the 300 tokens there are");
  EXPECT_ERROR(Plan({.tokens = 290, .multiple_of = 90}),
               where +
                   ".tokens: 290, rounded up to a multiple of 90, is 360, more than the 300 tokens there are; the "
                   "most is 270");
  EXPECT_ERROR(Plan({.multiple_of = 301}), "259 of the 300 tokens; there is nothing to cut to a multiple of 301");
  texts_ = {TextSource(dir_ / "absent")};
  EXPECT_ERROR(Plan({.tokens = 280, .multiple_of = 20}), "absent: cannot read");
  texts_.clear();
  EXPECT_ERROR(Plan({.tokens = 280}), where + ": counts the tokens of text, and none is named");
}

TEST_F(PruneVocab, PackedBlocksAreCarriedAsTheyAre) {
  QuantizationConfig packed;
  packed.groups.push_back({.name = "group_0", .targets = {"Linear"}, .format = {.bits = 4, .group_size = 32}});
  packed.ignore = {"lm_head"};
  WritePackedCheckpoint(dir_ / "packed", packed, {});
  Prune({.tokens = 270, .multiple_of = 1}, dir_ / "packed");
  const Checkpoint before = Checkpoint::Open(dir_ / "packed"), after = Checkpoint::Open(dir_ / "out");
  const std::string name = "model.layers.0.mlp.down_proj.weight_packed";
  EXPECT_TRUE(std::ranges::equal(before.Tensor(name).bytes, after.Tensor(name).bytes));
  EXPECT_EQ(after.Tensor("lm_head.weight").shape[0], 270);
}

TEST_F(PruneVocab, PackedEndsAreCutRowByRow) {
  for (const bool tied : {false, true})
    for (const int bits : {3, 4, 8}) {
      const std::string stem = fmt::format("{}-{}", tied, bits);
      const fs::path packed = dir_ / stem, out = dir_ / (stem + "-out");
      WritePackedCheckpoint(packed, PackedFormat{.bits = bits, .group_size = 32}, {.tied = tied});
      Prune({.tokens = 270, .multiple_of = 1}, packed, out.filename().c_str());
      const std::vector<int32_t> old = ReadTokenMap(out)->old_ids;
      const Ids now = {1, 269, 130, 265}, before = {old[1], old[269], old[130], old[265]};
      const std::vector<float> whole = Logits(packed, before), cut = Logits(out, now);
      for (size_t row = 0; row < now.size(); ++row)
        for (size_t id = 0; id < 270; ++id)
          ASSERT_EQ(cut[row * 270 + id], whole[row * 300 + static_cast<size_t>(old[id])]);
    }
}

TEST_F(PruneVocab, EndsPackedWithZeroPointsAreRefused) {
  PlanInput input = PlanInputOf(Checkpoint::Open(Model()), {});
  input.texts = texts_;
  QuantizationConfig packed;
  packed.groups.push_back({.name = "group_0",
                           .targets = {"re:.*embed_tokens"},
                           .format = {.bits = 4, .group_size = 32, .symmetric = false}});
  input.config.quantization = packed;
  EXPECT_ERROR(PruneVocabPass({.tokens = 280, .multiple_of = 20}).Plan(input), "model.embed_tokens.weight is packed");
}

}  // namespace
}  // namespace ecld
