#include "model/pass.h"

namespace ecld {

ModelConfig WithDecided(const ModelConfig& planned, const Json& decided) {
  if (decided.empty()) return planned;
  Json json = ToJson(planned);
  json.update(decided);
  return ParseConfig(json, "config.json");
}

std::filesystem::path SideFilesOf(const std::filesystem::path& scratch) { return scratch / "beside"; }

}  // namespace ecld
