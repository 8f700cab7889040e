#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>

#include "cli/device/output.h"
#include "cli/device/verbs.h"
#include "core/progress.h"
#include "profile/score/scorecard.h"

namespace ecld {
namespace {

struct Flags {
  std::vector<std::string> profiles;
  std::string catalogue, json;
  CoverageLimits limits;
};

std::string Value(const Figure& figure) {
  if (!figure.value) return "not measured";
  if (figure.unit == "B") return FormatBytes(static_cast<uint64_t>(*figure.value));
  std::string text = fmt::format("{:.4g}", *figure.value);
  if (figure.interval) text += fmt::format(" [{:.4g}, {:.4g}]", figure.interval->first, figure.interval->second);
  if (figure.unit != "1") text += " " + figure.unit;
  return text;
}

// A row per figure of any of them, in the order of the first that has it; a column per profile.
std::vector<std::vector<std::string>> Rows(const std::vector<Scorecard>& cards, const std::string& metric) {
  std::vector<std::vector<std::string>> rows = {{metric}};
  for (const Scorecard& card : cards) rows[0].push_back(card.variant);
  std::map<std::string, size_t> row_of;
  for (size_t i = 0; i < cards.size(); ++i)
    for (const Figure& figure : cards[i].figures) {
      if (figure.metric != metric) continue;
      const auto [place, is_new] = row_of.emplace(figure.name, rows.size());
      if (is_new) {
        rows.emplace_back(cards.size() + 1);
        rows.back()[0] = figure.name;
      }
      rows[place->second][i + 1] = fmt::format("{}{}", Value(figure), KindOf(figure.src) == "modelled" ? " *" : "");
    }
  return rows;
}

void Run(const Flags& flags) {
  const DeviceCatalogue catalogue = ReadCatalogue(flags.catalogue);
  std::vector<Scorecard> cards;
  for (const std::string& profile : flags.profiles)
    cards.push_back(ScorecardOf(ReadProfile(profile), catalogue, flags.limits));
  if (WriteJson(flags.json, ToJson(cards, catalogue))) return;
  for (const char* metric : {"accuracy", "hallucination", "energy", "accessibility"}) {
    PrintTable(Rows(cards, metric));
    fmt::print("\n");
  }
  fmt::print("[95 % interval]; of devices: from sure to possible. * modelled, all else measured.\n");
  for (const Scorecard& card : cards) fmt::print("{}: on {}\n", card.variant, card.device);
}

}  // namespace

std::function<void()> AddScores(CLI::App& verb) {
  auto flags = std::make_shared<Flags>();
  CoverageLimits& limits = flags->limits;
  verb.add_option("profiles", flags->profiles, "device profiles, side by side")->required()->type_name("DIR");
  verb.add_option("--catalogue", flags->catalogue,
                  "devices (YAML) to ask whether they can run it (default: those that ship)")
      ->type_name("FILE");
  verb.add_option("--context", limits.ctx_tok, "tokens in the cache there")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb.add_option("--phone-memory", limits.phone_memory_share, "share of a phone's memory that it may take")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  verb.add_option("--memory", limits.memory_share, "share of another device's memory")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  verb.add_option("--rate", limits.decode_tok_per_s, "tokens/s that it must decode at least")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  AddJsonFlag(verb, &flags->json);
  verb.footer(
      "Examples:\n"
      "  ecld-device scores model.profile model-w4.profile\n"
      "  ecld-device scores model-w4.profile --context 4096 --rate 10 --json scores.json");
  return [flags] { Run(*flags); };
}

}  // namespace ecld
