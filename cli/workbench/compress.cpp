#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "cli/device/output.h"
#include "cli/workbench/recipe_flags.h"
#include "cli/workbench/verbs.h"
#include "core/progress.h"
#include "recipes/pass_table.h"
#include "recipes/runner.h"

namespace ecld {
namespace {

struct Flags {
  RecipeFlags recipe;
  std::string json;
  RunRequest request;
  bool dry_run = false;
};

void Print(const RunPlan& plan) {
  auto time = [](double seconds) { return seconds > 0 ? FormatDuration(seconds) : std::string("not known"); };
  std::vector<std::vector<std::string>> rows = {{"stage", "from", "to", "memory", "scratch", "time"}};
  for (const PlannedStage& stage : plan.stages)
    rows.push_back({stage.pass, FormatBytes(stage.input_B), FormatBytes(stage.planned.output_B),
                    FormatBytes(stage.planned.peak_memory_B), FormatBytes(stage.planned.scratch_disk_B),
                    time(stage.planned.seconds)});
  PrintTable(rows);
  fmt::print("\nmemory {} of {}, disk {} of {} free, time {}\n", FormatBytes(plan.peak_memory_B),
             FormatBytes(plan.memory_budget_B), FormatBytes(plan.disk_B), FormatBytes(plan.free_disk_B),
             time(plan.seconds));
  for (const CalibrationFile& file : plan.calibration)
    fmt::print("calibration, {}: {}, {} windows from {} tokens\n", file.source.path.string(), file.content,
               file.windows, FormatCount(file.tokens));
  for (const char* key : {"notes", "not_applied"})
    for (const Json& note : plan.quantized_already.is_null() ? Json::array() : plan.quantized_already.at(key))
      fmt::print("note, input: {}\n", note.get<std::string>());
  for (const PlannedStage& stage : plan.stages)
    for (const std::string& note : stage.planned.notes) fmt::print("note, {}: {}\n", stage.pass, note);
}

void Print(const RunResult& result) {
  std::vector<std::vector<std::string>> rows = {{"stage", "size", "parameters", "peak memory", "time"}};
  const Json& input = result.report.at("input");
  rows.push_back({"(input)", FormatBytes(input.at("weights_B")), FormatCount(input.at("params")), "", ""});
  for (const Json& stage : result.report.at("stages"))
    rows.push_back({stage.at("pass"), FormatBytes(stage.at("output_B")), FormatCount(stage.at("params")),
                    FormatBytes(stage.at("peak_memory_B")), FormatDuration(stage.at("time_s"))});
  PrintTable(rows);
  fmt::print("\n{}{}\n", result.report.at("output").at("directory").get<std::string>(),
             result.was_finished ? " (was finished already; nothing was done)" : "");
}

void Run(const Flags& flags) {
  Recipe recipe = flags.recipe.Read();
  const std::vector<PreparedStage> stages = PrepareStages(recipe);
  if (flags.dry_run) {
    const RunPlan plan = PlanRecipe(recipe, stages, flags.request);
    if (!WriteJson(flags.json, ToJson(plan))) Print(plan);
    return;
  }
  SetInterruptNote("the same command resumes");
  const RunResult result = RunRecipe(recipe, stages, flags.request);
  if (!WriteJson(flags.json, result.report)) Print(result);
}

}  // namespace

std::function<void()> AddCompress(CLI::App& verb) {
  auto flags = std::make_shared<Flags>();
  RunRequest& request = flags->request;
  AddRecipeFlags(verb, &flags->recipe);
  verb.add_option("--model", request.model, "checkpoint directory to compress")->required()->type_name("DIR");
  verb.add_option("--out", request.out, "checkpoint directory to make")->required()->type_name("DIR");
  verb.add_flag("--dry-run", flags->dry_run, "only plan: sizes, memory, disk, time");
  AddMemoryBudgetFlag(verb, &request.memory_budget_B);
  verb.add_flag("--restart", request.restart, "drop what an interrupted run left, instead of resuming it");
  verb.add_flag("--overwrite", request.overwrite, "replace an existing output");
  verb.add_flag("--keep-stages", request.keep_stages, "keep the checkpoint of every stage, in <out>.stages");
  verb.add_option("--statistics", request.statistics,
                  "keep gradient statistics here, for other runs of the same model and text; else they go with the run")
      ->type_name("DIR");
  AddJsonFlag(verb, &flags->json);
  verb.footer(
      "Examples:\n"
      "  ecld compress w4 --model llama --out llama-w4\n"
      "  ecld compress quickstart --model smollm2 --out smollm2-small --calibration wiki.txt --dry-run\n"
      "  ecld compress gptq4 --model llama --out llama-w4 --calibration wiki.txt --calibration "
      "chats.jsonl:field=messages,weight=2\n"
      "  ecld compress my.yaml --model llama --out llama-w3 --set stages.0.bits=3 --memory-budget 8GB\n"
      "An interrupted run is resumed by the same command.");
  return [flags] { Run(*flags); };
}

}  // namespace ecld
