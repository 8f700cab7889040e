#include "profile/format/profile.h"

#include "core/error.h"
#include "core/files.h"
#include "core/hash.h"
#include "profile/format/checks.h"
#include "profile/format/fit.h"
#include "profile/format/manifest.h"

namespace ecld {
namespace {

constexpr std::string_view kManifestFile = "profile.json";

struct Section {
  std::string_view name;
  Json DeviceProfile::*member;
};
constexpr Section kSections[] = {
    {"created_utc", &DeviceProfile::created_utc}, {"tool", &DeviceProfile::tool},
    {"device", &DeviceProfile::device},           {"variant", &DeviceProfile::variant},
    {"provenance", &DeviceProfile::provenance},   {"fit", &DeviceProfile::fit},
    {"limits", &DeviceProfile::limits},
};

std::string FileName(const TableSchema& schema) { return std::string(schema.name) + ".csv"; }

TableStatus StatusOf(const JsonView& view) {
  std::string name = view.String();
  for (TableStatus status : {TableStatus::kComplete, TableStatus::kPartial, TableStatus::kAbsent})
    if (name == Name(status)) return status;
  Fail(view.Where(), "expected complete, partial or absent, found \"{}\"", name);
}

// The entry "tables.<name>" of the manifest, and the file it speaks of.
ProfileTable ReadTable(const std::filesystem::path& directory, const TableSchema& schema, const JsonView& entry,
                       TableStatus status) {
  if (std::string file = entry.At("file").String(); file != FileName(schema))
    Fail(entry.At("file").Where(), "expected \"{}\", found \"{}\"", FileName(schema), file);
  std::filesystem::path path = directory / FileName(schema);
  std::string text = ReadFile(path);
  if (std::string sha256 = Sha256Hex(text); sha256 != entry.At("sha256").String())
    Fail(path.string(), "its sha256 is {}, profile.json was written with {}", sha256, entry.At("sha256").String());
  Table table = ParseCsv(schema, text, path.string());
  if (entry.At("rows").Int() != static_cast<int64_t>(table.rows().size()))
    Fail(entry.At("rows").Where(), "says {}, {} has {}", entry.At("rows").Int(), FileName(schema), table.rows().size());
  return {status, std::move(table)};
}

}  // namespace

std::string_view Name(TableStatus status) {
  switch (status) {
    case TableStatus::kComplete:
      return "complete";
    case TableStatus::kPartial:
      return "partial";
    case TableStatus::kAbsent:
      return "absent";
  }
  return "";
}

const Table& DeviceProfile::At(std::string_view table) const {
  auto it = tables.find(table);
  if (it == tables.end()) Fail("device profile", "has no table \"{}\"", table);
  return it->second.table;
}

void DeviceProfile::Add(Table table) {
  if (!table.rows().empty())
    tables.emplace(table.schema().name, ProfileTable{TableStatus::kComplete, std::move(table)});
}

Json SourceKinds() {
  Json kinds = Json::object();
  for (const Source& source : Sources()) kinds[std::string(1, source.letter)] = source.meaning;
  return kinds;
}

void WriteProfile(const std::filesystem::path& directory, DeviceProfile profile) {
  CheckProfile(profile);
  if (auto phase = profile.tables.find("phase"); phase != profile.tables.end())
    profile.fit = FitPhase(phase->second.table);
  const std::filesystem::path staged = Sibling(directory, ".partial");
  std::error_code error;
  std::filesystem::remove_all(staged, error);
  if (!std::filesystem::create_directories(staged, error))
    Fail(staged.string(), "cannot be created: {}", error.message());

  Json tables = Json::object();
  for (const TableSchema& schema : TableSchemas()) {
    auto it = profile.tables.find(schema.name);
    Json& entry = tables[std::string(schema.name)];
    if (it == profile.tables.end()) {
      entry = {{"file", nullptr}, {"sha256", nullptr}, {"rows", 0}, {"status", Name(TableStatus::kAbsent)}};
      continue;
    }
    std::string text = FormatCsv(it->second.table);
    WriteFileAtomically(staged / FileName(schema), text);
    entry = {{"file", FileName(schema)},
             {"sha256", Sha256Hex(text)},
             {"rows", it->second.table.rows().size()},
             {"status", Name(it->second.status)}};
  }

  Json manifest = NewDocument(kProfileDocument);
  for (const Section& section : kSections) manifest[std::string(section.name)] = profile.*section.member;
  manifest["tables"] = tables;
  CheckManifest({manifest, (directory / kManifestFile).string()});
  WriteJsonFile(staged / kManifestFile, manifest);
  PublishDirectory(staged, directory);
}

DeviceProfile ReadProfile(const std::filesystem::path& directory) {
  std::filesystem::path path = directory / kManifestFile;
  Json json = ReadJsonFile(path);
  JsonView manifest(json, path.string());
  CheckManifest(manifest);

  DeviceProfile profile;
  for (const Section& section : kSections) profile.*section.member = manifest.At(section.name).json();
  JsonView tables = manifest.At("tables");
  for (const std::string& name : tables.Keys()) {
    const TableSchema& schema = FindTableSchema(name, tables.Where());
    TableStatus status = StatusOf(tables.At(name).At("status"));
    if (status != TableStatus::kAbsent)
      profile.tables.emplace(name, ReadTable(directory, schema, tables.At(name), status));
  }
  CheckProfile(profile);
  return profile;
}

}  // namespace ecld
