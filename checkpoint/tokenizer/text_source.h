#pragma once
// A file of texts, as calibration, training and scoring take them: plain text, which is one document, or JSON records
// (lines or an array), each a document in one of its fields, or a chat that the model's template writes out. What holds
// no texts in a known form is refused by name; plain text that seems to be written for programs is warned of. Plain
// text is tokenized as it is, documents each with what the tokenizer puts around a text and an end token behind it,
// since that is how models meet them in training; a chat needs neither: its template wrote what belongs there.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tokenizer/tokenizer.h"

namespace ecld {

struct TextSource {
  TextSource() = default;
  TextSource(std::filesystem::path file) : path(std::move(file)) {}  // NOLINT: a file is a source

  std::filesystem::path path;
  // "auto": JSON where the name ends in .jsonl, .ndjson or .json, or where the first line is a JSON object.
  std::string format = "auto";  // or "text", "json"
  std::string field;            // of JSON records; empty: text, messages or conversations, as the first record has it
  double weight = 1;            // its share, relative to those of other sources
};

inline const std::vector<std::string> kTextFormats = {"auto", "text", "json"};
inline constexpr double kLeastWeight = 1e-6, kMostWeight = 1e6;

// "data.jsonl", or with options behind a colon: "data.jsonl:field=text,weight=2". A file that is there by the whole
// name is meant as it is. one: there is no other text, so it can have no weight. THROWS Error on an unknown option or a
// bad value.
TextSource ParseTextSource(const std::string& argument, bool one = false);

struct Texts {
  enum class Kind { kPlain, kDocuments, kChats };
  Kind kind = Kind::kPlain;
  std::string field;                   // that the documents stand in; empty: plain text
  std::vector<std::string> documents;  // none is empty
  int64_t left_out = 0;                // records whose text is empty
};

// model: the directory whose chat template writes chats; tokenizer: of the same. THROWS Error with file and line: no
// text, a table, a record without the field (which lists those it has), a value that is neither text nor a chat, no
// template where one is needed.
Texts ReadTexts(const TextSource& source, const std::filesystem::path& model, const Tokenizer& tokenizer);
// The same of a file that was read already. special_tokens: Tokenizer::special_tokens.
Texts ParseTexts(std::string text, const TextSource& source, const std::filesystem::path& model,
                 const Json& special_tokens);

// The ids of all documents in a row. In plain text a line "<|endoftext|>" ends a document too, where the tokenizer has
// no such token. add_special: whether the tokenizer adds what it adds around a text. where: the file, for log lines.
std::vector<int32_t> Encode(const Texts& texts, const Tokenizer& tokenizer, bool add_special, const std::string& where);

// "text", "field text of 120 documents", ...
std::string Describe(const Texts& texts);

}  // namespace ecld
