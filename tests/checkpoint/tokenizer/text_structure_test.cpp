// What plain text seems to be, and that prose and the sources of programs seem to be none of it.

#include "checkpoint/tokenizer/text_structure.h"

#include <gtest/gtest.h>

#include <string>

namespace ecld {
namespace {

std::string Repeated(const std::string& line, int count = 6) {
  std::string text;
  for (int i = 0; i < count; ++i) text += line;
  return text;
}

TEST(TextStructure, WhatIsWrittenForProgramsIsNamed) {
  EXPECT_EQ(StructureOf("{\n  \"a\": [1, 2]\n}\n"), "one JSON value");
  EXPECT_EQ(StructureOf("\n[\"a\",\n \"b\"]"), "one JSON value");
  EXPECT_EQ(StructureOf("\"one\"\n\n\"two, \\\"three\\\"\"\r\n"), "lines of JSON strings");
  EXPECT_EQ(StructureOf("id,text\r\n" + Repeated("1,\"a, \"\"b\"\"\nc\"\r\n")), "a table (CSV)");
  EXPECT_EQ(StructureOf(Repeated("a,b,\n", 5)), "a table (CSV)");
  EXPECT_EQ(StructureOf("id\ttext\n" + Repeated("1\tOne, two, three.\n")), "a table (TSV)");
  EXPECT_EQ(StructureOf("<?xml version=\"1.0\"?><a/>"), "XML");
  EXPECT_EQ(StructureOf("<!-- a -->\n<!-- b --><div>"), "XML or a web page (HTML)");
  EXPECT_EQ(StructureOf("\n <!doctype HTML>"), "a web page (HTML)");
  EXPECT_EQ(StructureOf("<HTML lang=en>"), "a web page (HTML)");
}

TEST(TextStructure, ProseAndProgramsAreText) {
  for (const std::string& text :
       {std::string("\"Come,\" she said.\n\"No,\" said he.\n"), Repeated("Once, there was a fox.\n"),
        Repeated("One line, another.\n\n"), Repeated("\"Well\"\nsaid he.\n"),
        std::string("[1] See the notes.\n[2] More."), Repeated("\tint a;\n"), Repeated("if x:\n\tf(a,b)\n"),
        std::string("{ int a = 0; }\n"), Repeated("  f(a, b);\n"), std::string("<!-- a note -->\n# Title\n\nText."),
        std::string("<|endoftext|>\nhtml"), std::string("a,b\nc,d\n"), std::string("\"one\"\n"),
        std::string("<!-- open"), std::string(" \n"), Repeated("a,b\n") + "c\n", Repeated("a,b\n") + "\"c,d"})
    EXPECT_EQ(StructureOf(text), "") << text;
}

}  // namespace
}  // namespace ecld
