#include "core/json_lines.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/files.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

template <class Read>
std::vector<std::string> Visited(Read read, std::string_view text) {
  std::vector<std::string> visited;
  read(text, "data", [&](const Json& record, int64_t number, const std::string& where) {
    visited.push_back(where + " " + std::to_string(number) + " " + record.dump());
  });
  return visited;
}

TEST(JsonLines, ARecordIsALineOrAnElement) {
  EXPECT_EQ(Visited(ReadJsonLines, "{\"a\": 1}\r\n \t\n\n[2]"),
            (std::vector<std::string>{"data:1 1 {\"a\":1}", "data:4 4 [2]"}));
  EXPECT_EQ(Visited(ReadJsonArray, " [{\"a\": 1},\n 2]\n"),
            (std::vector<std::string>{"data[1] 1 {\"a\":1}", "data[2] 2 2"}));
  EXPECT_EQ(Lines("a\r\n\nb"), (std::vector<std::string_view>{"a", "", "b"}));
  EXPECT_TRUE(Lines("").empty());
}

TEST(JsonLines, ErrorsSayWhichLine) {
  EXPECT_ERROR(Visited(ReadJsonLines, "{}\n{\"a\": \n"), "data:2: not valid JSON");
  EXPECT_ERROR(Visited(ReadJsonLines, "{}\n" + std::string(400, '[')), "data:2: JSON nested deeper");
  EXPECT_ERROR(Visited(ReadJsonArray, "{}"), "data: found object, expected an array of objects");
  EXPECT_ERROR(Visited(ReadJsonArray, "[1"), "data: not valid JSON");
}

TEST(JsonLines, RecordsAreToldFromText) {
  for (const char* records : {"{\"a\": 1}\nmore", "\n {}", "[{\"a\": 1}, 2]", "[\n{}]\n"})
    EXPECT_TRUE(HoldsJsonRecords(records)) << records;
  for (const char* text : {"", "\n", "{", "{a}", "{\"a\": 1} and more", "[{] is code", "[1, 2]", "a\n{}"})
    EXPECT_FALSE(HoldsJsonRecords(text)) << text;
  EXPECT_TRUE(IsJsonArray(" \n["));
  EXPECT_FALSE(IsJsonArray("{}["));
}

TEST(JsonLines, AFileOfAnotherEncodingIsReadOrNamed) {
  TempDir dir;
  WriteFileAtomically(dir / "marked.json", "\xef\xbb\xbf{\"a\": 1}");
  EXPECT_EQ(ReadJsonFile(dir / "marked.json")["a"], 1);
  WriteFileAtomically(dir / "wide.json", std::string("\xfe\xff\0{\0}", 6));
  EXPECT_TRUE(ReadJsonFile(dir / "wide.json").empty());
  WriteFileAtomically(dir / "empty.json", "");
  EXPECT_ERROR(ReadJsonFile(dir / "empty.json"), "empty.json: is empty, expected JSON");
  WriteFileAtomically(dir / "pointer.json", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
  EXPECT_ERROR(ReadJsonFile(dir / "pointer.json"), "git lfs pull");
}

}  // namespace
}  // namespace ecld
