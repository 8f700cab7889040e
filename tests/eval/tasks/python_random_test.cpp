#include "eval/tasks/python_random.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ecld {
namespace {

using testing::ElementsAre;

// Expected values: printed by CPython 3.11.
TEST(PythonRandom, IsThatOfPython) {
  PythonRandom zero(0), other(1234);
  EXPECT_EQ(zero.Uniform(), 0.8444218515250481);
  EXPECT_EQ(zero.Uniform(), 0.7579544029403025);
  EXPECT_EQ(other.Uniform(), 0.9664535356921388);
  EXPECT_EQ(other.Uniform(), 0.4407325991753527);
}

TEST(PythonRandom, SamplesAsPython) {
  PythonRandom random(1234);
  EXPECT_THAT(random.Sample(7473, 5), ElementsAre(6374, 3610, 957, 61, 742));
  EXPECT_THAT(random.Sample(10, 4), ElementsAre(9, 0, 1, 8));  // from a pool
  PythonRandom seven(7);
  EXPECT_THAT(seven.Sample(7473, 5), ElementsAre(2652, 1235, 3234, 5332, 395));
  EXPECT_THAT(seven.Sample(10, 4), ElementsAre(1, 8, 9, 2));
  const std::vector<size_t> many = seven.Sample(100, 30);  // more than five: a larger pool
  EXPECT_THAT(std::vector<size_t>(many.begin(), many.begin() + 6), ElementsAre(74, 7, 64, 27, 4, 11));
  EXPECT_THAT(seven.Sample(300, 7), ElementsAre(214, 73, 276, 60, 292, 157, 286));
}

}  // namespace
}  // namespace ecld
