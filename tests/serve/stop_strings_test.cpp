#include "serve/stop_strings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/random.h"

namespace ecld {
namespace {

TEST(StopStrings, HoldsBackOnlyWhatMayBecomeOne) {
  StopStrings stops({"END", "\n\n"});
  EXPECT_EQ(stops.Add("an E"), "an ");
  EXPECT_EQ(stops.Add("N"), "");
  EXPECT_EQ(stops.Add("E"), "EN");
  EXPECT_EQ(stops.Add("ND of it"), "");
  EXPECT_TRUE(stops.found());
  EXPECT_EQ(stops.Add("more"), "");
  EXPECT_EQ(stops.Finish(), "");
}

TEST(StopStrings, WhatIsHeldBackComesOutAtTheEnd) {
  StopStrings stops({"abcd"});
  EXPECT_EQ(stops.Add("xabc"), "x");
  EXPECT_EQ(stops.Finish(), "abc");
  EXPECT_FALSE(stops.found());
}

TEST(StopStrings, WithoutAnyTheTextPasses) { EXPECT_EQ(StopStrings({}).Add("text"), "text"); }

// However a text is cut into parts, what comes out is what stands before the first stop string.
TEST(StopStrings, AnyPartsGiveTheTextBeforeTheFirst) {
  Random random(3);
  const auto letters = [&](uint64_t count) {
    std::string text;
    for (uint64_t i = 0; i < count; ++i) text.push_back(static_cast<char>('a' + random.Below(2)));
    return text;
  };
  for (int round = 0; round < 2000; ++round) {
    const std::string text = letters(random.Below(24));
    std::vector<std::string> list;
    for (uint64_t i = random.Below(3); i-- > 0;) list.push_back(letters(1 + random.Below(5)));
    std::pair<size_t, size_t> first = {std::string::npos, text.size()};  // end and start
    for (const std::string& stop : list)
      if (const size_t at = text.find(stop); at != std::string::npos) first = std::min(first, {at + stop.size(), at});
    const size_t end = first.second;
    StopStrings stops(list);
    std::string out;
    for (size_t at = 0; at < text.size();) {
      const size_t size = 1 + random.Below(4);
      out += stops.Add(text.substr(at, size));
      at += size;
    }
    out += stops.Finish();
    ASSERT_EQ(out, text.substr(0, end)) << text;
    ASSERT_EQ(stops.found(), end < text.size());
  }
}

}  // namespace
}  // namespace ecld
