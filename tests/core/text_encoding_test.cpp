// Text in every encoding that is read, and what the error says of everything else.

#include "core/text_encoding.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/file_signature.h"
#include "core/files.h"
#include "core/utf8.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

using std::string_literals::operator""s;

constexpr char kText[] = "Gr\u00fc\u00dfe, \u4e16\u754c \U0001f600\r\nend\n";

// The characters of UTF-8 text as units of `size` bytes.
std::string Encode(std::string_view text, size_t size, bool big_endian) {
  std::string bytes;
  const auto put = [&](uint32_t unit) {
    for (size_t i = 0; i < size; ++i) bytes += static_cast<char>(unit >> 8 * (big_endian ? size - 1 - i : i));
  };
  for (size_t at = 0; at < text.size();) {
    const Utf8Char character = CharAt(text, at);
    at += character.size;
    if (size == 4 || character.code < 0x10000) {
      put(character.code);
    } else {
      put(0xd800 + ((character.code - 0x10000) >> 10));
      put(0xdc00 + ((character.code - 0x10000) & 0x3ff));
    }
  }
  return bytes;
}

std::string Decode(const std::string& bytes) { return DecodeText(bytes, "text.txt"); }

TEST(TextEncoding, WhatHasAMarkIsRead) {
  for (const char* text : {kText, "", "a"}) {
    EXPECT_EQ(Decode(text), text);
    EXPECT_EQ(Decode("\xef\xbb\xbf"s + text), text);
    const std::string marked = "\ufeff"s + text;
    for (const bool big_endian : {false, true})
      for (const size_t size : {2u, 4u})
        EXPECT_EQ(Decode(Encode(marked, size, big_endian)), text) << size << big_endian;
  }
  // A mark behind the beginning is a character as any other.
  EXPECT_EQ(Decode("a\ufeff"), "a\ufeff");
  EXPECT_EQ(Decode("tabs\t, form feeds\f, escapes\x1b[0m and bells\a are text"),
            "tabs\t, form feeds\f, escapes\x1b[0m and bells\a are text");
}

TEST(TextEncoding, BrokenUnitsAreErrorsWithTheirPlace) {
  const std::string mark = "\xff\xfe";
  EXPECT_ERROR(Decode(mark + "a\0b"s), "text.txt: is UTF-16 by its mark, but its 5 bytes end within a character");
  EXPECT_ERROR(Decode(mark + "a\0\0\xd8"s), "at byte 4 stands 0xd800, which is half a character");
  EXPECT_ERROR(Decode(mark + "\0\xd8z\0"s), "at byte 2 stands 0xd800, which is half a character");
  EXPECT_ERROR(Decode(mark + "\0\xdc\0\xd8"s), "at byte 2 stands 0xdc00, which is half a character");
  EXPECT_ERROR(Decode(mark + "a\0\0\0"s), "at byte 4 stands a NUL");
  const std::string wide = "\xff\xfe\0\0"s;
  EXPECT_ERROR(Decode(wide + "a\0\0"s), "is UTF-32 by its mark, but its 7 bytes end within a character");
  EXPECT_ERROR(Decode(wide + "\0\0\x11\0"s), "at byte 4 stands 0x110000, which is no character");
  EXPECT_ERROR(Decode(wide + "\0\xd8\0\0"s), "at byte 4 stands 0xd800, which is half a character");
}

TEST(TextEncoding, EncodingsWithoutAMarkAreNamed) {
  EXPECT_ERROR(Decode(Encode(kText, 2, false)),
               "text.txt: byte 1 is 0x00, which is no UTF-8 text; the file seems to be "
               "UTF-16 without a mark; convert it: iconv -f UTF-16LE -t UTF-8 text.txt");
  EXPECT_ERROR(Decode(Encode(kText, 2, true)), "UTF-16 without a mark, big end first; convert it: iconv -f UTF-16BE");
  EXPECT_ERROR(Decode(Encode(kText, 4, false)), "UTF-32 without a mark; convert it: iconv -f UTF-32LE");
  EXPECT_ERROR(Decode(Encode(kText, 4, true)), "iconv -f UTF-32BE");
  EXPECT_ERROR(Decode("caf\xe9 et th\xe9 \x80 100"),
               "byte 3 is 0xe9, which is no UTF-8 text; the file seems to be "
               "Windows-1252 or Latin-1; convert it: iconv -f WINDOWS-1252");
  EXPECT_ERROR(Decode("\xcf\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0"), "text in an encoding of its language");
  EXPECT_ERROR(Decode("\x1b$B$3$s\x1b(B"), "ISO-2022-JP");
  EXPECT_ERROR(Decode("+/v8-text"), "UTF-7");
  EXPECT_ERROR(Decode("\x84\x31\x95\x33\xc4\xe3"), "GB18030");
}

TEST(TextEncoding, DamageIsToldFromOtherEncodings) {
  std::string many;
  for (int i = 0; i < 20; ++i) many += "\u00e9t\u00e9 ";
  EXPECT_ERROR(Decode(many + "\xe4\xb8"), "UTF-8 that was cut within its last character");
  EXPECT_ERROR(Decode(many + "\xff " + many), "UTF-8 with 1 damaged bytes; drop them: iconv -c");
  EXPECT_ERROR(Decode(std::string(500, 'a') + "\0\0"s + std::string(500, 'b')),
               "text with 2 NUL bytes in it; take them out: tr -d '\\000'");
  EXPECT_ERROR(Decode("\x01\x02\x03\xfe\x05\x06\x07\x0e"), "seems to be no text at all");
}

TEST(TextEncoding, OtherFilesAreNamed) {
  struct Case {
    std::string begin, name;
  };
  const std::vector<Case> cases = {{"\x1f\x8b\x08\0"s, "compressed by gzip; unpack it with gunzip"},
                                   {"BZh91AY&SY", "compressed by bzip2"},
                                   {"\xfd"
                                    "7zXZ\0"s,
                                    "compressed by xz"},
                                   {"\x28\xb5\x2f\xfd", "compressed by zstd"},
                                   {"\x04\x22\x4d\x18", "compressed by lz4"},
                                   {"PK\x03\x04", "a zip archive"},
                                   {"7z\xbc\xaf\x27\x1c", "a 7z archive"},
                                   {"Rar!\x1a\x07", "a rar archive"},
                                   {std::string(257, '\0') + "ustar", "a tar archive"},
                                   {"%PDF-1.5\n", "a PDF document"},
                                   {"PAR1", "a Parquet table; write the column with the texts as JSON lines"},
                                   {"ARROW1\0\0"s, "an Arrow or Feather table"},
                                   {"\xff\xff\xff\xff\x20\x03", "an Arrow or Feather table"},
                                   {"FEA1", "an Arrow or Feather table"},
                                   {"SQLite format 3\0"s, "an SQLite database"},
                                   {"\x89HDF\r\n\x1a\n", "an HDF5 file"},
                                   {"\x93NUMPY", "a NumPy array"},
                                   {"\x89PNG\r\n\x1a\n", "a PNG image"},
                                   {"\xff\xd8\xff\xe0", "a JPEG image"},
                                   {"\x7f"
                                    "ELF",
                                    "a program (ELF)"},
                                   {"\x80\x04\x95", "a Python pickle"},
                                   {"GGUF", "the weights of a model (GGUF)"},
                                   {"\x40\x02\0\0\0\0\0\0{\"a\""s, "the weights of a model (safetensors)"}};
  for (const Case& file : cases)
    EXPECT_ERROR(Decode(file.begin + "\0\x81\xff"s), "text.txt: is no plain text; it seems to be " + file.name);
  EXPECT_ERROR(Decode("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git lfs pull");
  EXPECT_ERROR(Decode("{\\rtf1\\ansi}"), "a rich text document");
  EXPECT_ERROR(Decode("%PDF-1.0\n1 0 obj"), "a PDF document");
  // The same letters at the head of a text say nothing.
  for (const char* text : {"ORC is a format\n", "MZ\n", "PAR1 golf\n", "RIFF raff\n"}) EXPECT_EQ(Decode(text), text);
  EXPECT_TRUE(SignatureOf("").name.empty());
}

TEST(TextEncoding, FilesAreReadAsTextOrAsBytes) {
  TempDir dir;
  const std::string bytes = "\xff\xfe"s + Encode(kText, 2, false);
  WriteFileAtomically(dir / "a.txt", bytes);
  EXPECT_EQ(ReadFile(dir / "a.txt"), bytes);
  EXPECT_EQ(ReadTextFile(dir / "a.txt"), kText);
  WriteFileAtomically(dir / "b.txt", "\xe9");
  EXPECT_ERROR(ReadTextFile(dir / "b.txt"), (dir / "b.txt").string() + ": byte 0 is 0xe9");
}

}  // namespace
}  // namespace ecld
