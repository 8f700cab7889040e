#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/device/output.h"
#include "cli/workbench/recipe_flags.h"
#include "cli/workbench/verbs.h"
#include "core/log.h"
#include "core/progress.h"
#include "search/search.h"

namespace ecld {
namespace {

struct Flags {
  RecipeFlags recipe;
  std::string json;
  SearchRequest request;
  bool dry_run = false;
};

std::string InWords(const SearchPlan& plan) {
  const std::string time = plan.first_s > 0 ? FormatDuration(plan.first_s) : std::string("not known");
  return fmt::format("{} to {} candidates; the first takes memory {}, disk {}, time {}, and its measurement",
                     plan.fewest, plan.most, FormatBytes(plan.peak_memory_B), FormatBytes(plan.disk_B), time);
}

void Print(const Json& result) {
  std::vector<std::vector<std::string>> rows = {{"candidate", "size", "bits per byte", "+-", "time"}};
  for (const Json& trial : result.at("trials")) {
    const std::string chosen = trial.at("name") == result.at("chosen") ? "* " : "  ";
    const std::string name = chosen + trial.at("name").get<std::string>();
    if (trial.contains("refused"))
      rows.push_back({name, "-", "-", "-", "-"});
    else
      rows.push_back(
          {name, FormatBytes(trial.at("weights_B")), fmt::format("{:.4f}", trial.at("bits_per_byte").get<double>()),
           fmt::format("{:.4f}", trial.at("standard_error").get<double>()), FormatDuration(trial.at("time_s"))});
  }
  PrintTable(rows);
  for (const Json& trial : result.at("trials"))
    if (trial.contains("refused"))
      fmt::print("left out, {}: {}\n", trial.at("name").get<std::string>(), trial.at("refused").get<std::string>());
}

void Run(const Flags& flags) {
  const Recipe recipe = flags.recipe.Read();
  const std::string plan = InWords(PlanSearch(recipe, flags.request));
  if (flags.dry_run) return fmt::print("{}\n", plan);
  LogInfo("search: {}", plan);
  SetInterruptNote("the same command resumes");
  const Json result = Search(recipe, flags.request);
  if (!WriteJson(flags.json, result)) Print(result);
}

}  // namespace

std::function<void()> AddSearch(CLI::App& verb) {
  auto flags = std::make_shared<Flags>();
  SearchRequest& request = flags->request;
  AddRecipeFlags(verb, &flags->recipe);
  verb.add_option("--model", request.model, "checkpoint directory to compress")->required()->type_name("DIR");
  verb.add_option("--out", request.out, "checkpoint directory to make")->required()->type_name("DIR");
  verb.add_option("--held-out", request.held_out, "plain text to measure candidates on, which no pass may have seen")
      ->required()
      ->type_name("FILE");
  verb.add_option("--held-out-size", request.held_out_B, "how much of it is used, from its beginning")
      ->transform(CLI::AsSizeValue(false).description(""))
      ->capture_default_str()
      ->type_name("SIZE");
  verb.add_option("--budget", request.budget_B,
                  "bytes that the weights of a candidate may take, like 50MB: quantize.allocate fills them")
      ->transform(CLI::AsSizeValue(true).description(""))
      ->type_name("SIZE");
  AddMemoryBudgetFlag(verb, &request.memory_budget_B);
  verb.add_flag("--dry-run", flags->dry_run, "only say how many candidates there are, and what the first will take");
  verb.add_flag("--restart", request.restart, "drop what an interrupted search left, instead of resuming it");
  verb.add_flag("--overwrite", request.overwrite, "replace an existing output");
  AddJsonFlag(verb, &flags->json);
  verb.footer(
      "Examples:\n"
      "  ecld search ecld --model smollm2 --out smollm2-50 --calibration wiki.txt --held-out other.txt "
      "--budget 50MB\n"
      "An interrupted search is resumed by the same command.");
  return [flags] { Run(*flags); };
}

}  // namespace ecld
