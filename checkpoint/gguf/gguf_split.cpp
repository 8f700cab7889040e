#include <algorithm>

#include "checkpoint/gguf/gguf_file.h"
#include "core/error.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPartNumber = "split.no";
constexpr const char* kPartCount = "split.count";
constexpr const char* kTensorCount = "split.tensors.count";
constexpr int64_t kMostParts = 99999;  // five digits in a name

// 1 for a file that is whole: a file merged from parts says 0.
int64_t PartCount(const GgufContents& part) {
  const GgufValue* value = part.Find(kPartCount);
  const int64_t count = value ? value->Int() : 0;
  if (count < 0 || count > kMostParts) Fail(value->Where(), "expected 0 to {} parts, found {}", kMostParts, count);
  return std::max<int64_t>(count, 1);
}

// From 0.
int64_t PartNumber(const GgufContents& part, int64_t count) {
  if (count == 1 && !part.Find(kPartNumber)) return 0;
  const GgufValue& value = part.At(kPartNumber);
  const int64_t number = value.Int();
  if (number < 0 || number >= count) Fail(value.Where(), "counts from 0 to {}, found {}", count - 1, number);
  return number;
}

std::string NameEnd(int64_t number, int64_t count) { return fmt::format("-{:05}-of-{:05}.gguf", number + 1, count); }

// The paths of all parts, from that of one.
std::vector<fs::path> PartPaths(const fs::path& path, const GgufContents& part, int64_t count) {
  const int64_t number = PartNumber(part, count);
  const std::string name = path.filename().string(), end = NameEnd(number, count);
  if (!name.ends_with(end))
    Fail(path.string(), "is part {} of {} of a split file; the others are found when its name ends in {}", number + 1,
         count, end);
  std::vector<fs::path> paths;
  for (int64_t i = 0; i < count; ++i)
    paths.push_back(path.parent_path() / (name.substr(0, name.size() - end.size()) + NameEnd(i, count)));
  for (int64_t i = 0; i < count; ++i) {
    std::error_code error;
    if (!fs::exists(paths[i], error))
      Fail(paths[i].string(), "is missing: part {} of the {} of a split file", i + 1, count);
  }
  return paths;
}

// What two parts say of the model must be the same; each has its own layout.
bool BelongsToThePart(std::string_view key) { return key == kPartNumber || key == "general.alignment"; }

void Add(GgufContents& part, GgufContents* whole) {
  for (auto& [key, value] : part.metadata) {
    const GgufValue* known = whole->Find(key);
    if (known && !BelongsToThePart(key) && !known->SameAs(value))
      Fail(value.Where(), "is not what {} says: these are parts of different files", known->Where());
  }
  whole->metadata.merge(part.metadata);
  for (auto& [name, tensor] : part.tensors)
    if (!whole->tensors.emplace(name, std::move(tensor)).second)
      Fail(part.where, "tensor {} is in another part, too", name);
}

}  // namespace

GgufContents JoinGgufParts(std::vector<GgufContents> parts) {
  const int64_t count = std::ssize(parts);
  for (int64_t i = 0; i < count; ++i) {
    const GgufContents& part = parts[i];
    if (int64_t says = PartCount(part); says != count)
      Fail(part.where, "is of a file of {} parts, not of {} as the part that was named", says, count);
    if (int64_t says = PartNumber(part, count); says != i)
      Fail(part.where, "says that it is part {}, where part {} should be", says + 1, i + 1);
  }
  GgufContents whole = std::move(parts[0]);
  for (int64_t i = 1; i < count; ++i) Add(parts[i], &whole);
  if (const int64_t says = whole.At(kTensorCount).Int(); says != std::ssize(whole.tensors))
    Fail(whole.At(kTensorCount).Where(), "is {}, but the {} parts hold {} tensors", says, count, whole.tensors.size());
  return whole;
}

GgufFile::GgufFile(const fs::path& path) {
  files_.emplace_back(path);
  contents_ = ParseGguf(files_[0].bytes(), path.string());
  const int64_t count = PartCount(contents_);
  if (count == 1) {
    PartNumber(contents_, count);
    return;
  }
  std::vector<MappedFile> files;
  std::vector<GgufContents> parts;
  for (const fs::path& part : PartPaths(path, contents_, count)) {
    files.emplace_back(part);
    parts.push_back(ParseGguf(files.back().bytes(), part.string()));
  }
  contents_ = JoinGgufParts(std::move(parts));
  files_ = std::move(files);
}

uint64_t GgufFile::FileBytes() const {
  uint64_t bytes = 0;
  for (const MappedFile& file : files_) bytes += file.bytes().size();
  return bytes;
}

}  // namespace ecld
