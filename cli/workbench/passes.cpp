#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/device/output.h"
#include "cli/workbench/verbs.h"
#include "core/document.h"
#include "recipes/pass_table.h"

namespace ecld {
namespace {

constexpr DocumentKind kPassesDocument{"ecld.passes", "1.0.0"};

struct Flags {
  std::string pass, json;
};

Json Describe(const PassEntry& entry) {
  Json options = Json::array();
  for (const OptionFact& fact : OptionFacts(entry))
    options.push_back({{"key", fact.key}, {"kind", fact.kind}, {"default", fact.default_value}, {"help", fact.help}});
  return {{"name", entry.name}, {"summary", entry.summary}, {"options", std::move(options)}};
}

void ShowAll(const Flags& flags) {
  Json passes = Json::array();
  size_t width = 0;
  for (const PassEntry& entry : PassTable()) {
    passes.push_back(Describe(entry));
    width = std::max(width, entry.name.size());
  }
  if (WriteJson(flags.json, NewDocument(kPassesDocument, {{"passes", std::move(passes)}}))) return;
  for (const PassEntry& entry : PassTable()) fmt::print("{:<{}}  {}\n", entry.name, width, entry.summary);
}

void ShowOne(const Flags& flags) {
  const PassEntry& entry = FindPass(flags.pass, "passes");
  if (WriteJson(flags.json, Describe(entry))) return;
  fmt::print("{}: {}\n\n", entry.name, entry.summary);
  size_t width = 0;
  for (const OptionFact& fact : OptionFacts(entry)) width = std::max(width, fact.key.size());
  for (const OptionFact& fact : OptionFacts(entry))
    fmt::print("  {:<{}}  {}\n  {:<{}}  {}{}\n", fact.key, width, fact.help, "", width, fact.kind,
               fact.default_value.empty() ? "" : fmt::format(" (default {})", fact.default_value));
}

}  // namespace

std::function<void()> AddPasses(CLI::App& verb) {
  auto flags = std::make_shared<Flags>();
  verb.add_option("pass", flags->pass, "show the options of this pass");
  AddJsonFlag(verb, &flags->json);
  verb.footer("Examples:\n  ecld passes\n  ecld passes quantize.round");
  return [flags] { flags->pass.empty() ? ShowAll(*flags) : ShowOne(*flags); };
}

}  // namespace ecld
