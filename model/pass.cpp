#include "model/pass.h"

namespace ecld {

ModelConfig WithDecided(const ModelConfig& planned, const Json& decided) {
  if (decided.empty()) return planned;
  Json json = ToJson(planned);
  json.update(decided);
  return ParseConfig(json, "config.json");
}

std::vector<int64_t> EvenStarts(int64_t tokens, int64_t windows, int64_t window_tok) {
  std::vector<int64_t> starts(static_cast<size_t>(windows));
  const int64_t last = tokens - window_tok;
  for (int64_t i = 0; i < windows; ++i) starts[static_cast<size_t>(i)] = windows == 1 ? 0 : last * i / (windows - 1);
  return starts;
}

std::filesystem::path SideFilesOf(const std::filesystem::path& scratch) { return scratch / "beside"; }

}  // namespace ecld
