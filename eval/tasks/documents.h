#pragma once
// The data files of a task, as their authors publish them, to documents: JSON objects with the line they came from.
// Parquet and Arrow are not read here: scripts/parquet_to_jsonl.py converts them.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"

namespace ecld {

// A further file whose line i (from 0) belongs to document i.
struct LinesBeside {
  std::string field;
  std::string file;  // name in the folder of the main one
};

struct DataFile {
  std::vector<std::string> names;  // paths below the data folder by any of which it goes
  // jsonl: an object per line. json: an array of objects. csv, tsv: a record per document (RFC 4180; every value is
  // text). pages: WikiText, a document {"page": ...} per article.
  std::string format = "jsonl";
  std::vector<std::string> columns;  // csv, tsv: their names, where the file has no heading
  std::vector<LinesBeside> beside;
  std::vector<std::string> fields;  // that every document must have
};

struct Document {
  Json fields;       // an object
  int64_t line = 0;  // in the file, from 1; of an array, the index from 1
};

struct Documents {
  std::filesystem::path file;
  std::string sha256;  // over all files read
  std::vector<Document> documents;

  std::string Where(size_t index) const;  // "file:line"
};

// Finds files below a folder by the end of their path.
class DataFolder {
 public:
  explicit DataFolder(const std::filesystem::path& root);  // THROWS Error when it is no folder

  // THROWS Error when no file goes by one of these names, or two by the same.
  std::filesystem::path Find(const std::vector<std::string>& names) const;
  const std::filesystem::path& root() const { return root_; }

 private:
  std::filesystem::path root_;
  std::vector<std::string> files_;  // paths below root, '/' between parts
};

// THROWS Error with file and line: unreadable or malformed files, no document at all, a field that is missing, files
// beside each other of unequal length.
Documents ReadDocuments(const DataFolder& folder, const DataFile& data);

// The records of CSV text with this separator, quoted fields and line breaks in them included.
std::vector<Document> ParseTable(std::string_view text, char separator, const std::vector<std::string>& columns,
                                 const std::string& where);
// The articles of a WikiText file: each begins with a heading of the first level, as in the document-level edition
// that lm-evaluation-harness reads (EleutherAI/wikitext_document_level): the line feed between two articles is in
// neither, and what is blank before the first is left out.
std::vector<Document> ParsePages(std::string_view text);

}  // namespace ecld
