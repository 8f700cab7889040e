// Which variants are kept: against all sets that can be tried, and against simpler rules on random cases.

#include "offload/cache/placement.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "core/random.h"
#include "tests/testing/expect_error.h"

namespace ecld::offload {
namespace {

SharedBytes Shared(const std::vector<std::vector<NamedBlock>>& variants) {
  SharedBytes bytes;
  for (const auto& blocks : variants) bytes.Add(blocks, "test");
  return bytes;
}

TEST(SharedBytesTest, WhatIsSharedCountsOnce) {
  const SharedBytes bytes = Shared({{{"a", 3}, {"b", 10}, {"b", 10}}, {{"b", 10}, {"c", 5}}});
  EXPECT_EQ(bytes.Of(SetOf(0)), 13) << "a block that it has twice is one";
  EXPECT_EQ(bytes.Of(SetOf(0) | SetOf(1)), 18);
  EXPECT_EQ(bytes.Lacking(1, SetOf(0)), 5);
  EXPECT_EQ(bytes.Lacking(1, 0), 15);
  EXPECT_EQ(bytes.Lacking(1, SetOf(1)), 0);
}

TEST(SharedBytesTest, EqualBlocksAreEquallyLong) {
  EXPECT_ERROR(Shared({{{"a", 3}}, {{"a", 4}}}), "block a has 4 bytes, and 3 in a variant before");
  EXPECT_ERROR(Shared(std::vector<std::vector<NamedBlock>>(65, {{"a", 3}})), "there are more than 64 variants");
}

// Variants of a few parts, each of which has some forms, as if recipes had changed some of them: a form of a part is
// shared by all that have it. Popularity by Zipf's law, in random order.
struct RandomCase {
  SharedBytes bytes;
  PlacementProblem problem;

  explicit RandomCase(Random& random) {
    const auto variants = 4 + random.Below(6), parts = 1 + random.Below(4), forms = 2 + random.Below(4);
    std::vector<std::vector<double>> length(parts, std::vector<double>(forms));
    for (auto& part : length)
      for (double& form : part) form = std::floor(5 + 95 * random.Uniform());
    for (uint64_t v = 0; v < variants; ++v) {
      std::vector<NamedBlock> blocks = {{fmt::format("own {}", v), std::floor(40 * random.Uniform())}};
      for (size_t part = 0; part < parts; ++part) {
        const auto form = static_cast<size_t>(random.Below(forms));
        blocks.push_back({fmt::format("{} {}", part, form), length[part][form]});
      }
      bytes.Add(blocks, "test");
    }
    const double exponent = 1.5 * random.Uniform();
    for (uint64_t v = 0; v < variants; ++v) problem.worth.push_back(std::pow(static_cast<double>(v + 1), -exponent));
    for (size_t v = variants; v > 1; --v) std::swap(problem.worth[v - 1], problem.worth[random.Below(v)]);
    double sum = 0;
    for (const double worth : problem.worth) sum += worth;
    for (double& worth : problem.worth) worth /= sum;
    problem.bytes = &bytes;
    problem.storage_B = (0.15 + 0.7 * random.Uniform()) * bytes.Of((VariantSet{1} << variants) - 1);
  }
};

TEST(PlacementTest, ExhaustiveIsTheBestOfAllSets) {
  Random random(3);
  for (int i = 0; i < 50; ++i) {
    const RandomCase made(random);
    double best = 0;
    for (VariantSet kept = 0; kept < VariantSet{1} << made.problem.worth.size(); ++kept)
      if (made.bytes.Of(kept) <= made.problem.storage_B) best = std::max(best, WorthOf(made.problem, kept));
    EXPECT_NEAR(Exhaustive(made.problem).worth, best, 1e-12);
  }
}

TEST(PlacementTest, GreedyIsNeverWorseThanSimplerRulesAndCloseToTheBest) {
  constexpr int kCases = 500;
  Random random(4);
  struct Gap {
    double sum = 0, most = 0;
    int missed = 0;
    void Add(double gap) {
      sum += gap;
      most = std::max(most, gap);
      missed += gap > 1e-12;
    }
  } greedy_gap, plain_gap, popular_gap, separate_gap;
  int plain_below = 0;
  for (int i = 0; i < kCases; ++i) {
    const RandomCase made(random);
    const Placement best = Exhaustive(made.problem), greedy = Greedy(made.problem), plain = GreedyPlain(made.problem),
                    popular = PopularFirst(made.problem), separate = GreedySeparate(made.problem);
    for (const Placement& placement : {best, greedy, plain, popular, separate}) {
      EXPECT_LE(made.bytes.Of(placement.kept), made.problem.storage_B);
      EXPECT_NEAR(placement.worth, WorthOf(made.problem, placement.kept), 1e-12);
    }
    EXPECT_GE(greedy.worth, popular.worth - 1e-12) << "case " << i;
    EXPECT_GE(greedy.worth, separate.worth - 1e-12) << "case " << i;
    EXPECT_LE(greedy.worth, best.worth + 1e-12);
    plain_below += plain.worth < std::max(popular.worth, separate.worth) - 1e-12;
    greedy_gap.Add(best.worth - greedy.worth);
    plain_gap.Add(best.worth - plain.worth);
    popular_gap.Add(best.worth - popular.worth);
    separate_gap.Add(best.worth - separate.worth);
  }
  for (const auto& [name, gap] :
       {std::pair("greedy", greedy_gap), {"plain", plain_gap}, {"popular", popular_gap}, {"separate", separate_gap}})
    fmt::print("{:<9} below exhaustive: {:.4f} in the mean, {:.4f} at most; not the best in {} of {}\n", name,
               gap.sum / kCases, gap.most, gap.missed, kCases);
  EXPECT_GT(plain_below, 0) << "the plain rule alone would not be enough";
  fmt::print("the plain rule is below popular or separate in {} of {}\n", plain_below, kCases);
  EXPECT_LT(greedy_gap.sum / kCases, 0.002);
}

TEST(PlacementTest, SharingIsWhatGreedySees) {
  // Alone none of the first three is worth its bytes; together they are.
  const SharedBytes bytes = Shared({{{"a", 90}, {"b", 1}}, {{"a", 90}, {"c", 1}}, {{"a", 90}, {"d", 1}}, {{"e", 60}}});
  const PlacementProblem problem{.bytes = &bytes, .worth = {0.2, 0.2, 0.2, 0.4}, .storage_B = 100};
  EXPECT_EQ(Greedy(problem).kept, VariantSet{7});
  EXPECT_EQ(PopularFirst(problem).kept, VariantSet{8});
  EXPECT_EQ(GreedySeparate(problem).kept, VariantSet{8});
  EXPECT_EQ(GreedyPlain(problem).kept, VariantSet{8});
  EXPECT_EQ(Exhaustive(problem).kept, VariantSet{7});
  const PlacementProblem none{.bytes = &bytes, .worth = problem.worth, .storage_B = 10};
  for (const auto& place : {PopularFirst, GreedySeparate, Greedy, Exhaustive}) EXPECT_EQ(place(none).kept, 0u);
}

TEST(PlacementTest, WhatNobodyAsksForIsNotKept) {
  const SharedBytes bytes = Shared({{{"a", 1}}, {{"b", 1}}});
  const PlacementProblem problem{.bytes = &bytes, .worth = {1, 0}, .storage_B = 10};
  for (const auto& place : {PopularFirst, GreedySeparate, Greedy, Exhaustive}) EXPECT_EQ(place(problem).kept, SetOf(0));
}

TEST(RecentlyUsedTest, ThrowsOutWhatWasAskedForLongestAgo) {
  const SharedBytes bytes = Shared({{{"a", 4}, {"s", 2}}, {{"b", 4}, {"s", 2}}, {{"c", 5}}, {{"d", 50}}});
  RecentlyUsed storage(&bytes, 10);
  storage.Use(0);
  storage.Use(1);
  EXPECT_EQ(storage.held(), SetOf(0) | SetOf(1)) << "4 + 4 and what they share";
  storage.Use(0);
  storage.Use(2);
  EXPECT_EQ(storage.held(), SetOf(2)) << "11 with the last two";
  storage.Use(3);
  EXPECT_EQ(storage.held(), SetOf(2)) << "it would never fit";
}

}  // namespace
}  // namespace ecld::offload
