#include "serve/http_headers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ecld {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(HttpHeaders, PathsInAllTheirForms) {
  EXPECT_EQ(PathOfTarget("/v1/models"), "/v1/models");
  EXPECT_EQ(PathOfTarget("/v1/models/"), "/v1/models");
  EXPECT_EQ(PathOfTarget("/v1/models/?limit=2#x"), "/v1/models");
  EXPECT_EQ(PathOfTarget("http://localhost:8080/v1/models?x=/"), "/v1/models") << "what a proxy sends";
  EXPECT_EQ(PathOfTarget("http://localhost:8080"), "/");
  EXPECT_EQ(PathOfTarget("/"), "/");
  EXPECT_EQ(PathOfTarget("///"), "/");
  EXPECT_EQ(PathOfTarget("//v1/models"), "/v1/models");
  EXPECT_EQ(PathOfTarget("/v1/models/org%2Fa%20b"), "/v1/models/org/a b");
  EXPECT_EQ(PathOfTarget("/%"), "/%");
  EXPECT_EQ(PathOfTarget("/%zz%4"), "/%zz%4");
  EXPECT_EQ(PathOfTarget("/a://b/c"), "/a://b/c");
  EXPECT_EQ(PathOfTarget("*"), "*");
}

TEST(HttpHeaders, OriginsThatMayRead) {
  EXPECT_THAT(CorsHeaders({}, "http://a"), IsEmpty());
  EXPECT_THAT(CorsHeaders({"*"}, "http://a"), ElementsAre(Pair("Access-Control-Allow-Origin", "*")));
  const std::vector<std::string> two = {"http://a", "https://b:1"};
  EXPECT_THAT(CorsHeaders(two, "https://b:1"),
              ElementsAre(Pair("Vary", "Origin"), Pair("Access-Control-Allow-Origin", "https://b:1")));
  EXPECT_THAT(CorsHeaders(two, "http://c"), ElementsAre(Pair("Vary", "Origin")));
  EXPECT_THAT(CorsHeaders(two, ""), ElementsAre(Pair("Vary", "Origin")));
}

TEST(HttpHeaders, APreflightIsToldWhatItAskedFor) {
  EXPECT_THAT(PreflightHeaders("authorization, content-type"),
              testing::Contains(Pair("Access-Control-Allow-Headers", "authorization, content-type")));
  EXPECT_THAT(PreflightHeaders(""), testing::Not(testing::Contains(Pair("Access-Control-Allow-Headers", ""))));
}

TEST(HttpHeaders, WhatIsAnOrigin) {
  for (const char* good : {"*", "http://localhost:3000", "https://example.org", "chrome-extension://abc"})
    EXPECT_TRUE(IsOrigin(good)) << good;
  for (const char* bad : {"", "localhost", "http://", "http://a/", "http://a b", "http://a,http://b", "://a", "**"})
    EXPECT_FALSE(IsOrigin(bad)) << bad;
}

}  // namespace
}  // namespace ecld
