#include "recipes/journal.h"

#include "core/document.h"
#include "core/error.h"

namespace ecld {
namespace {

constexpr DocumentKind kJournalDocument{"ecld.journal", "1.0.0"};

struct Part {
  const char* key;
  const char* name;  // for people
  std::string RunIdentity::*value;
};

constexpr Part kParts[] = {{"tool", "the version of ECLD", &RunIdentity::tool},
                           {"recipe_sha256", "the recipe", &RunIdentity::recipe},
                           {"input", "the input model", &RunIdentity::input},
                           {"teacher", "the teacher", &RunIdentity::teacher},
                           {"calibration_sha256", "the calibration text", &RunIdentity::calibration}};

}  // namespace

Json ToJson(const RunIdentity& identity) {
  Json json = Json::object();
  for (const Part& part : kParts) json[part.key] = identity.*part.value;
  return json;
}

RunIdentity ParseRunIdentity(const JsonView& json) {
  RunIdentity identity;
  for (const Part& part : kParts) identity.*part.value = json.At(part.key).String();
  return identity;
}

std::string Difference(const RunIdentity& a, const RunIdentity& b) {
  std::string names;
  for (const Part& part : kParts)
    if (a.*part.value != b.*part.value) names += (names.empty() ? "" : ", ") + std::string(part.name);
  return names;
}

Journal::Journal(const std::filesystem::path& work, const RunIdentity& identity)
    : path_(work / "journal.json"), identity_(identity) {
  if (!std::filesystem::exists(path_)) {
    Save();
    return;
  }
  Json json = ReadJsonFile(path_);
  JsonView view(json, path_.string());
  try {
    RequireKind(view, kJournalDocument);
  } catch (const Error& error) {
    Fail(path_.string(), "is not a journal this ECLD reads; --restart starts the run over ({})", error.what());
  }
  if (std::string changed = Difference(ParseRunIdentity(view.At("identity")), identity); !changed.empty())
    Fail(work.string(),
         "holds an unfinished run, and since then {} changed; give the command of that run to finish it, or --restart "
         "to start over",
         changed);
  stages_ = view.At("stages").json();
  if (!stages_.is_array()) Fail(path_.string(), "stages is not a list; --restart starts the run over");
  resumed_ = true;
}

Json Journal::Entry(size_t stage) const { return stage < stages_.size() ? stages_[stage] : Json(nullptr); }

void Journal::Record(size_t stage, const Json& entry) {
  while (stages_.size() <= stage) stages_.push_back(nullptr);
  stages_[stage] = entry;
  Save();
}

void Journal::Save() const {
  WriteJsonFile(path_, NewDocument(kJournalDocument, {{"identity", ToJson(identity_)}, {"stages", stages_}}));
}

}  // namespace ecld
