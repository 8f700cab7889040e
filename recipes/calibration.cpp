#include "recipes/calibration.h"

#include <algorithm>
#include <numeric>

#include "checkpoint/tokenizer/tokenizer.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/random.h"

namespace ecld {
namespace {

// First tokens of the windows, ascending. REQUIRES: tokens >= windows * window_tok.
std::vector<int64_t> Starts(int64_t tokens, const CalibrationOptions& options) {
  if (options.choice == "even") return EvenStarts(tokens, options.windows, options.window_tok);
  std::vector<int64_t> starts(static_cast<size_t>(options.windows));
  std::vector<int64_t> slots(static_cast<size_t>(tokens / options.window_tok));
  std::iota(slots.begin(), slots.end(), int64_t{0});
  Random random(options.seed);
  for (size_t i = 0; i < starts.size(); ++i) {
    std::swap(slots[i], slots[i + random.Below(slots.size() - i)]);
    starts[i] = slots[i] * options.window_tok;
  }
  std::sort(starts.begin(), starts.end());
  return starts;
}

void RequireKnownIds(const std::vector<int32_t>& ids, const Checkpoint& model) {
  for (int32_t id : ids)
    if (id < 0 || id >= model.config().vocab_size)
      Fail(model.directory().string(), "its tokenizer makes id {}, but the model has a vocabulary of {}", id,
           model.config().vocab_size);
}

}  // namespace

TokenWindows CutWindows(std::span<const int32_t> ids, const CalibrationOptions& options, const std::string& where) {
  int64_t tokens = static_cast<int64_t>(ids.size());
  int64_t needed = options.windows * options.window_tok;
  if (tokens < needed)
    Fail(where, "has {} tokens, but {} windows of {} need {}; give a longer text, {}or set calibration.windows", tokens,
         options.windows, options.window_tok, needed, options.texts.size() > 1 ? "lower its weight, " : "");
  TokenWindows result;
  result.window_tok = options.window_tok;
  for (int64_t start : Starts(tokens, options))
    result.windows.emplace_back(ids.begin() + start, ids.begin() + start + options.window_tok);
  return result;
}

void CheckWindow(const CalibrationOptions& options, const Checkpoint& model) {
  if (options.window_tok > LongestText(model.config()))
    Fail("calibration.window_tok", "{} is more than the {} positions of {}", options.window_tok,
         LongestText(model.config()), model.directory().string());
}

std::vector<int64_t> SharesOf(const std::vector<TextSource>& sources, int64_t windows) {
  double weights = 0;
  for (const TextSource& source : sources) weights += source.weight;
  std::vector<int64_t> shares;
  std::vector<double> remainders;
  int64_t left = windows;
  for (const TextSource& source : sources) {
    const double share = static_cast<double>(windows) * source.weight / weights;
    shares.push_back(static_cast<int64_t>(share));
    remainders.push_back(share - static_cast<double>(shares.back()));
    left -= shares.back();
  }
  for (; left > 0; --left) {
    const auto largest = std::ranges::max_element(remainders);
    ++shares[static_cast<size_t>(largest - remainders.begin())];
    *largest = -1;
  }
  for (size_t i = 0; i < sources.size(); ++i)
    if (shares[i] == 0)
      Fail(sources[i].path.string(), "gives none of the {} windows; set calibration.windows or its weight higher",
           windows);
  return shares;
}

Calibration ReadCalibration(const CalibrationOptions& options, const Checkpoint& model) {
  if (options.texts.empty())
    Fail("calibration.text",
         "a pass of this recipe needs calibration text, and none is named; give --calibration FILE, or set "
         "calibration.source=model");
  CheckWindow(options, model);
  const std::vector<int64_t> shares = SharesOf(options.texts, options.windows);
  const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::Open(model.directory());
  Calibration result{.windows = {.window_tok = options.window_tok}};
  // Windows by their place among those of their file, from 0 to 1; files that give the same place keep their order.
  std::vector<std::pair<double, std::vector<int32_t>>> placed;
  for (size_t i = 0; i < options.texts.size(); ++i) {
    const TextSource& source = options.texts[i];
    const Texts texts = ReadTexts(source, model.directory(), *tokenizer);
    const std::vector<int32_t> ids = Encode(texts, *tokenizer, texts.kind == Texts::Kind::kDocuments, source.path);
    RequireKnownIds(ids, model);
    CalibrationOptions share = options;
    share.windows = shares[i];
    share.seed += i;
    TokenWindows cut = CutWindows(ids, share, source.path.string());
    for (size_t w = 0; w < cut.windows.size(); ++w)
      placed.emplace_back((static_cast<double>(w) + 0.5) / static_cast<double>(shares[i]), std::move(cut.windows[w]));
    result.files.push_back({source, Describe(texts), static_cast<int64_t>(ids.size()), shares[i]});
  }
  std::ranges::stable_sort(placed, {}, &decltype(placed)::value_type::first);
  for (auto& [place, window] : placed) result.windows.windows.push_back(std::move(window));
  return result;
}

std::string CalibrationSha256(const CalibrationOptions& options) {
  std::string hashes;
  for (const TextSource& source : options.texts) hashes += Sha256HexOfFile(source.path) + "\n";
  return options.texts.size() == 1 ? hashes.substr(0, 64) : Sha256Hex(hashes);
}

Json ToJson(const std::vector<CalibrationFile>& files) {
  Json json = Json::array();
  for (const CalibrationFile& file : files)
    json.push_back({{"file", file.source.path.string()},
                    {"content", file.content},
                    {"weight", file.source.weight},
                    {"tokens", file.tokens},
                    {"windows", file.windows}});
  return json;
}

std::string CalibrationOverride(const std::vector<std::string>& arguments) {
  Json files = Json::array();
  for (const std::string& argument : arguments) {
    const TextSource source = ParseTextSource(argument), plain;
    Json file = {{"path", std::filesystem::absolute(source.path).lexically_normal().string()}};
    if (source.format != plain.format) file["format"] = source.format;
    if (source.field != plain.field) file["field"] = source.field;
    if (source.weight != plain.weight) file["weight"] = source.weight;
    files.push_back(std::move(file));
  }
  const bool one = files.size() == 1 && files[0].size() == 1;
  return "calibration.text=" + (one ? files[0]["path"] : files).dump();
}

}  // namespace ecld
