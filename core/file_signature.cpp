#include "core/file_signature.h"

#include <cstddef>

namespace ecld {
namespace {

using namespace std::string_view_literals;

struct Mark {
  size_t offset;
  std::string_view bytes;
  FileSignature signature;
};

constexpr FileSignature kTable = {"an Arrow or Feather table", "write the column with the texts as JSON lines"};
constexpr FileSignature kPickle = {"a Python pickle", ""};
constexpr FileSignature kWeights = {"the weights of a model (GGML)", ""};

constexpr Mark kMarks[] = {
    {0, "\x1f\x8b"sv, {"compressed by gzip", "unpack it with gunzip"}},
    {0, "BZh"sv, {"compressed by bzip2", "unpack it with bunzip2"}},
    {0,
     "\xfd"
     "7zXZ\0"sv,
     {"compressed by xz", "unpack it with unxz"}},
    {0, "\x28\xb5\x2f\xfd"sv, {"compressed by zstd", "unpack it with unzstd"}},
    {0, "\x04\x22\x4d\x18"sv, {"compressed by lz4", "unpack it with unlz4"}},
    {0, "\x1f\x9d"sv, {"compressed by compress", "unpack it with uncompress"}},
    {0, "LZIP\x01"sv, {"compressed by lzip", "unpack it with lzip -d"}},
    {0, "\xff\x06\0\0sNaPpY"sv, {"compressed by snappy", "unpack it first"}},
    {0, "\x5d\0\0"sv, {"compressed by lzma", "unpack it with unlzma"}},
    {0, "PK\x03\x04"sv, {"a zip archive (as .docx, .xlsx, .npz and .pt are)", "unpack it first"}},
    {0, "PK\x05\x06"sv, {"an empty zip archive", ""}},
    {0, "7z\xbc\xaf\x27\x1c"sv, {"a 7z archive", "unpack it first"}},
    {0, "Rar!\x1a\x07"sv, {"a rar archive", "unpack it first"}},
    {257, "ustar"sv, {"a tar archive", "unpack it with tar -xf"}},
    {0, "PAR1"sv, {"a Parquet table", "write the column with the texts as JSON lines"}},
    {0, "ARROW1"sv, kTable},
    {0, "FEA1"sv, kTable},
    {0, "\xff\xff\xff\xff"sv, kTable},
    {0, "ORC"sv, {"an ORC table", "write the column with the texts as JSON lines"}},
    {0, "Obj\x01"sv, {"an Avro file", "write the field with the texts as JSON lines"}},
    {0, "SQLite format 3\0"sv, {"an SQLite database", "write the column with the texts as JSON lines"}},
    {8, "DUCK"sv, {"a DuckDB database", "write the column with the texts as JSON lines"}},
    {0, "\x89HDF\r\n\x1a\n"sv, {"an HDF5 file", ""}},
    {0, "\x93NUMPY"sv, {"a NumPy array", ""}},
    {0, "\x80\x02"sv, kPickle},
    {0, "\x80\x03"sv, kPickle},
    {0, "\x80\x04\x95"sv, kPickle},
    {0, "\x80\x05\x95"sv, kPickle},
    {0, "GGUF"sv, {"the weights of a model (GGUF)", "ecld import reads it"}},
    {0, "lmgg"sv, kWeights},
    {0, "tjgg"sv, kWeights},
    {0,
     "\x7f"
     "ELF"sv,
     {"a program (ELF)", ""}},
    {0, "MZ"sv, {"a program for Windows", ""}},
    {0, "\xca\xfe\xba\xbe"sv, {"a Java class or a program for macOS", ""}},
    {0, "\0asm"sv, {"a WebAssembly module", ""}},
    {0, "%PDF-"sv, {"a PDF document", "take its text out with pdftotext"}},
    {0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"sv, {"a document of an old Office program", "save it as plain text"}},
    {0, "\x89PNG\r\n\x1a\n"sv, {"a PNG image", ""}},
    {0, "\xff\xd8\xff"sv, {"a JPEG image", ""}},
    {0, "GIF8"sv, {"a GIF image", ""}},
    {0, "II*\0"sv, {"a TIFF image", ""}},
    {0, "MM\0*"sv, {"a TIFF image", ""}},
    {0, "RIFF"sv, {"a sound, film or image (RIFF)", ""}},
    {0, "OggS"sv, {"a sound or film (Ogg)", ""}},
    {0, "fLaC"sv, {"a sound (FLAC)", ""}},
    {0, "ID3"sv, {"a sound (MP3)", ""}},
    {4, "ftyp"sv, {"a film or sound (MP4)", ""}},
    {0, "\x84\x31\x95\x33"sv, {"text in GB18030", "convert it: iconv -f GB18030 -t UTF-8"}},
    {0, "\xdd\x73\x66\x73"sv, {"text in UTF-EBCDIC", "convert it first"}},
};

constexpr Mark kMarksOfCharacters[] = {
    {0,
     "version https://git-lfs.github.com/spec/"sv,
     {"what git leaves in place of a large file (git-lfs)", "fetch the file itself with git lfs pull"}},
    {0,
     "version https://hawser.github.com/spec/"sv,
     {"what git leaves in place of a large file (git-lfs)", "fetch the file itself with git lfs pull"}},
    {0, "%PDF-"sv, {"a PDF document", "take its text out with pdftotext"}},
    {0, "%!PS"sv, {"a PostScript document", "take its text out with ps2ascii"}},
    {0, "{\\rtf"sv, {"a rich text document (RTF)", "save it as plain text"}},
    {0, "+/v8"sv, {"text in UTF-7", "convert it: iconv -f UTF-7 -t UTF-8"}},
    {0, "+/v9"sv, {"text in UTF-7", "convert it: iconv -f UTF-7 -t UTF-8"}},
};

// Sequences with which ISO 2022 goes over to an alphabet of two bytes.
constexpr Mark kShifts[] = {
    {0, "\x1b$B"sv, {"text in ISO-2022-JP", "convert it: iconv -f ISO-2022-JP -t UTF-8"}},
    {0, "\x1b$@"sv, {"text in ISO-2022-JP", "convert it: iconv -f ISO-2022-JP -t UTF-8"}},
    {0, "\x1b$)C"sv, {"text in ISO-2022-KR", "convert it: iconv -f ISO-2022-KR -t UTF-8"}},
    {0, "\x1b$)A"sv, {"text in ISO-2022-CN", "convert it: iconv -f ISO-2022-CN -t UTF-8"}},
};

bool Matches(std::string_view bytes, const Mark& mark) {
  return bytes.size() >= mark.offset && bytes.substr(mark.offset).starts_with(mark.bytes);
}

// safetensors: eight bytes with the length of a JSON object, which follows.
bool IsSafetensors(std::string_view bytes) {
  return bytes.size() > 9 && bytes.substr(5, 3) == "\0\0\0"sv && bytes.substr(8, 2) == "{\""sv;
}

}  // namespace

FileSignature SignatureOf(std::string_view bytes) {
  for (const Mark& mark : kMarks)
    if (Matches(bytes, mark)) return mark.signature;
  if (IsSafetensors(bytes)) return {"the weights of a model (safetensors)", ""};
  return {};
}

FileSignature SignatureOfCharacters(std::string_view text) {
  for (const Mark& mark : kMarksOfCharacters)
    if (Matches(text, mark)) return mark.signature;
  if (text.find('\x1b') != std::string_view::npos)
    for (const Mark& mark : kShifts)
      if (text.find(mark.bytes) != std::string_view::npos) return mark.signature;
  return {};
}

}  // namespace ecld
