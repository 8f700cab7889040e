#include "eval/tasks/documents.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "core/error.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/json_lines.h"
#include "core/text_encoding.h"
#include "jinja/text.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

bool IsBlank(std::string_view text) { return jinja::Strip(text, nullptr, true, true).empty(); }

template <class Read>
std::vector<Document> Records(Read read, std::string_view text, const std::string& where) {
  std::vector<Document> documents;
  read(text, where, [&](Json fields, int64_t number, const std::string& place) {
    if (!fields.is_object()) Fail(place, "found {}, expected an object", fields.type_name());
    documents.push_back({std::move(fields), number});
  });
  return documents;
}

std::vector<Document> Parse(const DataFile& data, std::string_view text, const std::string& where) {
  if (data.format == "jsonl") return Records(ReadJsonLines, text, where);
  if (data.format == "json") return Records(ReadJsonArray, text, where);
  if (data.format == "csv") return ParseTable(text, ',', data.columns, where);
  if (data.format == "tsv") return ParseTable(text, '\t', data.columns, where);
  return ParsePages(text);
}

// One record of a table; cursor is moved behind it.
class TableReader {
 public:
  TableReader(std::string_view text, char separator, const std::string& where)
      : text_(text), separator_(separator), where_(where) {}

  bool AtEnd() const { return at_ == text_.size(); }
  int64_t line() const { return line_; }

  std::vector<std::string> Next() {
    std::vector<std::string> cells;
    while (true) {
      cells.push_back(Cell());
      if (AtEnd()) return cells;
      const char end = text_[at_++];
      if (end == separator_) continue;
      if (end == '\r' && !AtEnd() && text_[at_] == '\n') ++at_;
      ++line_;
      return cells;
    }
  }

 private:
  bool Ends(size_t at) const {
    return at == text_.size() || text_[at] == separator_ || text_[at] == '\n' ||
           (text_[at] == '\r' && at + 1 < text_.size() && text_[at + 1] == '\n');
  }

  std::string Cell() {
    if (AtEnd() || text_[at_] != '"') {
      const size_t begin = at_;
      while (!Ends(at_)) ++at_;
      return std::string(text_.substr(begin, at_ - begin));
    }
    const int64_t opened = line_;
    std::string cell;
    for (++at_;; ++at_) {
      if (AtEnd()) Fail(fmt::format("{}:{}", where_, opened), "a quoted value begins here and does not end");
      if (text_[at_] == '\n') ++line_;
      if (text_[at_] == '"') {
        if (Ends(at_ + 1)) break;
        if (text_[at_ + 1] != '"')
          Fail(fmt::format("{}:{}", where_, line_), "text follows a closing quote; a quote inside is written twice");
        ++at_;
      }
      cell += text_[at_];
    }
    ++at_;
    return cell;
  }

  std::string_view text_;
  char separator_;
  const std::string& where_;
  size_t at_ = 0;
  int64_t line_ = 1;
};

void AddBeside(const DataFile& data, Documents* read, std::string* hashes) {
  for (const LinesBeside& beside : data.beside) {
    const fs::path path = read->file.parent_path() / beside.file;
    std::string bytes = ReadFile(path);
    *hashes += Sha256Hex(bytes) + "\n";
    const std::string text = DecodeText(std::move(bytes), path.string());
    std::vector<std::string_view> lines = Lines(text);
    if (lines.size() != read->documents.size())
      Fail(path.string(), "has {} lines, but {} has {} documents", lines.size(), read->file.string(),
           read->documents.size());
    for (size_t i = 0; i < lines.size(); ++i) read->documents[i].fields[beside.field] = std::string(lines[i]);
  }
}

}  // namespace

std::string Documents::Where(size_t index) const { return fmt::format("{}:{}", file.string(), documents[index].line); }

DataFolder::DataFolder(const fs::path& root) : root_(root) {
  if (!fs::is_directory(root)) Fail(root.string(), "is no folder; --data names the one where the tasks' files lie");
  for (const auto& entry : fs::recursive_directory_iterator(root, fs::directory_options::follow_directory_symlink))
    if (entry.is_regular_file()) files_.push_back(entry.path().lexically_relative(root).generic_string());
  std::ranges::sort(files_);
}

fs::path DataFolder::Find(const std::vector<std::string>& names) const {
  for (const std::string& name : names) {
    std::vector<std::string> found;
    for (const std::string& file : files_)
      if (file == name || file.ends_with("/" + name)) found.push_back(file);
    if (found.size() > 1)
      Fail(root_.string(), "{} is there more than once: {}; keep one, or name a folder with one", name,
           fmt::join(found, ", "));
    if (found.size() == 1) return root_ / found[0];
  }
  Fail(root_.string(), "none of these files is below it: {}", fmt::join(names, ", "));
}

std::vector<Document> ParseTable(std::string_view text, char separator, const std::vector<std::string>& columns,
                                 const std::string& where) {
  TableReader reader(text, separator, where);
  std::vector<std::string> names = columns;
  if (names.empty() && !reader.AtEnd()) names = reader.Next();
  std::vector<Document> documents;
  while (!reader.AtEnd()) {
    const int64_t line = reader.line();
    std::vector<std::string> cells = reader.Next();
    if (cells.size() == 1 && cells[0].empty()) continue;  // an empty line
    if (cells.size() != names.size())
      Fail(fmt::format("{}:{}", where, line), "has {} values, expected {}: {}", cells.size(), names.size(),
           fmt::join(names, ", "));
    Json fields = Json::object();
    for (size_t i = 0; i < cells.size(); ++i) fields[names[i]] = std::move(cells[i]);
    documents.push_back({std::move(fields), line});
  }
  return documents;
}

std::vector<Document> ParsePages(std::string_view text) {
  std::vector<Document> pages;
  std::string page;
  int64_t line_number = 0, first_line = 1;
  const auto finish = [&](int64_t next_line) {
    if (next_line > 0 && page.ends_with('\n')) page.pop_back();  // between two pages, in neither
    if (!IsBlank(page)) pages.push_back({Json{{"page", page}}, first_line});
    page.clear();
    first_line = next_line;
  };
  while (!text.empty()) {
    const size_t size = std::min(text.find('\n'), text.size() - 1) + 1;
    const std::string_view line = text.substr(0, size);
    text.remove_prefix(size);
    ++line_number;
    // "= = =" begins a heading of a lower level.
    const std::string heading = jinja::Strip(line, nullptr, true, true);
    if (heading.starts_with("= ") && !heading.starts_with("= =") && heading.ends_with(" =") &&
        !heading.ends_with("= ="))
      finish(line_number);
    page += line;
  }
  finish(0);
  return pages;
}

Documents ReadDocuments(const DataFolder& folder, const DataFile& data) {
  Documents read{.file = folder.Find(data.names)};
  std::string bytes = ReadFile(read.file);
  std::string hashes = Sha256Hex(bytes) + "\n";
  const std::string text = DecodeText(std::move(bytes), read.file.string());
  read.documents = Parse(data, text, read.file.string());
  if (read.documents.empty()) Fail(read.file.string(), "holds no document");
  AddBeside(data, &read, &hashes);
  read.sha256 = data.beside.empty() ? hashes.substr(0, 64) : Sha256Hex(hashes);
  for (size_t i = 0; i < read.documents.size(); ++i)
    for (const std::string& field : data.fields)
      if (!read.documents[i].fields.contains(field))
        Fail(read.Where(i), "has no \"{}\"; a document of this task has {}", field, fmt::join(data.fields, ", "));
  return read;
}

}  // namespace ecld
