#include "core/document.h"

#include <gtest/gtest.h>

#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

constexpr DocumentKind kTea{"test.tea", "1.2.0"}, kSoup{"test.soup", "3.0.0"};

TEST(Document, WhatIsWrittenIsKnownAgain) {
  for (const DocumentKind* kind : {&kTea, &kSoup}) {
    Json json = NewDocument(*kind);
    json["more"] = 1;
    EXPECT_EQ(&KindOf({json, "x.json"}, {&kTea, &kSoup}), kind);
    EXPECT_TRUE(IsDocument(json, *kind));
  }
  EXPECT_EQ(NewDocument(kTea).dump(), R"({"schema":"test.tea","schema_version":"1.2.0"})");
  EXPECT_FALSE(IsDocument(NewDocument(kTea), kSoup));
  EXPECT_FALSE(IsDocument(Json::array(), kSoup));
  EXPECT_FALSE(IsDocument({{"schema", 1}}, kSoup));
}

TEST(Document, MinorVersionsAreReadMajorOnesAreNot) {
  const auto require = [](Json json) { RequireKind({json, "x.json"}, kTea); };
  Json json = NewDocument(kTea);
  for (const char* version : {"1.0.0", "1.17.0"}) {
    json["schema_version"] = version;
    EXPECT_NO_THROW(require(json));
  }
  for (const char* version : {"2.0.0", "10.0.0", "1"}) {
    json["schema_version"] = version;
    EXPECT_ERROR(require(json),
                 "x.json: schema_version: version \"" + std::string(version) + "\" is not known here; 1.x is");
  }
  json.erase("schema_version");
  EXPECT_ERROR(require(json), "schema_version");
}

TEST(Document, AnotherKindIsNamed) {
  const Json json = {{"schema", "test.stone"}};
  EXPECT_ERROR(KindOf({json, "x.json"}, {&kTea, &kSoup}),
               "x.json: schema: expected \"test.tea\" or \"test.soup\", found \"test.stone\"");
  EXPECT_ERROR(RequireKind({Json::object(), "x.json"}, kTea), "schema");
}

}  // namespace
}  // namespace ecld
