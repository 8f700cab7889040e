#include "eval/tasks/documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/files.h"
#include "core/hash.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

class DocumentsTest : public testing::Test {
 protected:
  fs::path Write(const std::string& name, const std::string& text) {
    fs::create_directories((dir_ / name).parent_path());
    WriteFileAtomically(dir_ / name, text);
    return dir_ / name;
  }
  Documents Read(const DataFile& data) { return ReadDocuments(DataFolder(dir_.path()), data); }

  TempDir dir_;
};

TEST_F(DocumentsTest, JsonLines) {
  Write("a/set.jsonl", "{\"q\": \"x\"}\r\n\n{\"q\": \"y\", \"more\": [1]}");
  const Documents read = Read({.names = {"none.jsonl", "set.jsonl"}, .fields = {"q"}});
  ASSERT_EQ(read.documents.size(), 2u);
  EXPECT_EQ(read.documents[1].fields["q"], "y");
  EXPECT_EQ(read.Where(1), (dir_ / "a/set.jsonl").string() + ":3");
  EXPECT_EQ(read.sha256, Sha256HexOfFile(dir_ / "a/set.jsonl"));
}

TEST_F(DocumentsTest, LinesBeside) {
  Write("set.jsonl", "{\"q\": 1}\n{\"q\": 2}\n");
  Write("labels.lst", "0\n1\n");
  const DataFile data = {.names = {"set.jsonl"}, .beside = {{"label", "labels.lst"}}, .fields = {"q", "label"}};
  const Documents read = Read(data);
  EXPECT_EQ(read.documents[1].fields["label"], "1");
  Write("labels.lst", "0\n");
  EXPECT_ERROR(Read(data), "labels.lst: has 1 lines, but");
  Write("labels.lst", "1\n1\n");
  EXPECT_NE(Read(data).sha256, read.sha256);
}

TEST_F(DocumentsTest, JsonArray) {
  Write("set.json", "[{\"q\": 1}, {\"q\": 2}]");
  EXPECT_EQ(Read({.names = {"set.json"}, .format = "json"}).documents[1].fields["q"], 2);
  Write("set.json", "{\"q\": 1}");
  EXPECT_ERROR(Read({.names = {"set.json"}, .format = "json"}), "set.json: found object, expected an array");
}

TEST_F(DocumentsTest, Tables) {
  Write("set.csv", "\xef\xbb\xbfq,a\n\"say \"\"hi\"\",\nthen go\",1\nplain,\"\"\n");
  Documents read = Read({.names = {"set.csv"}, .format = "csv"});
  ASSERT_EQ(read.documents.size(), 2u);
  EXPECT_EQ(read.documents[0].fields["q"], "say \"hi\",\nthen go");
  EXPECT_EQ(read.documents[1].fields["a"], "");
  EXPECT_EQ(read.documents[1].line, 4);
  Write("set.tsv", "a, b\tc\r\n\"d\"\te\r\n");
  read = Read({.names = {"set.tsv"}, .format = "tsv", .columns = {"left", "right"}});
  ASSERT_EQ(read.documents.size(), 2u);
  EXPECT_EQ(read.documents[0].fields["left"], "a, b");
  EXPECT_EQ(read.documents[1].fields["right"], "e");
}

TEST_F(DocumentsTest, Pages) {
  const std::string first = " \n = One = \n \n text = = here\n = = Part = = \n", second = " = Two = Three = \n end\n";
  Write("wiki.raw", first + second);
  const Documents read = Read({.names = {"wiki.raw"}, .format = "pages"});
  ASSERT_EQ(read.documents.size(), 2u);
  EXPECT_EQ(read.documents[0].fields["page"], first.substr(2, first.size() - 3));
  EXPECT_EQ(read.documents[1].fields["page"], second);
  EXPECT_EQ(read.documents[1].line, 6);
}

TEST_F(DocumentsTest, BadFilesAreErrors) {
  const auto lines = [&](const std::string& text) {
    Write("set.jsonl", text);
    return Read({.names = {"set.jsonl"}, .fields = {"q", "a"}});
  };
  EXPECT_ERROR(lines("{\"q\": 1, \"a\": 2}\n{\"q\": 1\n"), "set.jsonl:2: ");
  EXPECT_ERROR(lines("{\"q\": 1, \"a\": 2}\n{\"q\": 1}\n"),
               "set.jsonl:2: has no \"a\"; a document of this task has q, a");
  EXPECT_ERROR(lines("[1]\n"), "set.jsonl:1: found array, expected an object");
  EXPECT_ERROR(lines("\n \n"), "set.jsonl: holds no document");
  const auto table = [&](const std::string& text) {
    Write("set.csv", text);
    return Read({.names = {"set.csv"}, .format = "csv", .columns = {"q", "a"}});
  };
  EXPECT_ERROR(table("1,2\n1,2,3\n"), "set.csv:2: has 3 values, expected 2: q, a");
  EXPECT_ERROR(table("1,2\n\"1,2\n\n"), "set.csv:2: a quoted value begins here and does not end");
  EXPECT_ERROR(table("\"a\" b,2\n"), "set.csv:1: text follows a closing quote");
  EXPECT_ERROR(DataFolder(dir_ / "none"), "none: is no folder");
}

TEST_F(DocumentsTest, FilesAreFoundByTheEndOfTheirPath) {
  Write("deep/ARC-Easy/test.jsonl", "{}");
  Write("deep/NOT-ARC-Easy/test.jsonl", "{}");
  const DataFolder folder(dir_.path());
  EXPECT_EQ(folder.Find({"ARC-Easy/test.jsonl"}), dir_ / "deep/ARC-Easy/test.jsonl");
  EXPECT_ERROR(folder.Find({"test.jsonl"}), "test.jsonl is there more than once: deep/ARC-Easy/test.jsonl, deep/NOT");
  EXPECT_ERROR(folder.Find({"a.csv", "b.csv"}), "none of these files is below it: a.csv, b.csv");
}

}  // namespace
}  // namespace ecld
