#include "eval/evaluate.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/device/eval_tasks.h"
#include "cli/device/output.h"
#include "cli/device/runtime_flags.h"
#include "cli/device/verbs.h"
#include "core/progress.h"

namespace ecld {
namespace {

struct Flags {
  EvalOptions eval;
  std::string text;
  bool bare = false;
  int64_t stride = 0;
  TaskFlags tasks;
  std::string json;
};

std::vector<std::string> Row(const std::string& name, const Metric& metric, const std::string& unit = "") {
  return {name, fmt::format("{:.6g}", metric.value),
          metric.standard_error ? fmt::format("{:.2g}", *metric.standard_error) : "", unit};
}

void Print(const EvalResult& result) {
  std::vector<std::vector<std::string>> rows = {{"metric", "value", "std. error", "unit"}};
  rows.push_back(Row("perplexity", result.perplexity));
  rows.push_back(Row("nll", result.nll, "nats/token"));
  if (result.bits_per_byte) rows.push_back(Row("bits per byte", *result.bits_per_byte, "bit/B"));
  if (result.reference_perplexity) rows.push_back(Row("perplexity of reference", *result.reference_perplexity));
  if (result.kl) rows.push_back(Row("KL to reference", *result.kl, "nats/token"));
  if (result.top1_agreement) rows.push_back(Row("top-1 agreement", *result.top1_agreement));
  if (result.reference_bits_per_byte)
    rows.push_back(Row("bits per byte of reference", *result.reference_bits_per_byte, "bit/B"));
  if (result.reference_lost_mass) rows.push_back(Row("mass of reference on tokens cut", *result.reference_lost_mass));
  PrintTable(rows);
  fmt::print("\n{} ({}, {}; {}, kv {}, {}), {}: {} windows of {} every {}, {} tokens scored in {}\n",
             result.model.directory, result.model.format,
             FormatBytes(result.model.weights_B + result.model.interleaved_B), Name(result.runtime.precision),
             Name(result.runtime.Kv()), result.kernels, result.text_file, result.windows, result.options.window,
             result.options.stride, result.scored_tok, FormatDuration(result.scoring_s));
}

void Run(Flags flags) {
  if (!flags.tasks.eval.tasks.empty()) {
    TaskEvalOptions& tasks = flags.tasks.eval;
    tasks.model = flags.eval.model;
    tasks.reference = flags.eval.reference;
    tasks.threads = flags.eval.threads;
    tasks.runtime = flags.eval.runtime;
    return RunTaskEval(flags.tasks, flags.json);
  }
  WindowOptions& windows = flags.eval.windows;
  windows.stride = flags.stride > 0 ? flags.stride : windows.window;
  flags.eval.add_special = !flags.bare;
  flags.eval.text = ParseTextSource(flags.text, true);
  EvalResult result = Evaluate(flags.eval);
  if (!WriteJson(flags.json, ToJson(result))) Print(result);
}

}  // namespace

std::function<void()> AddEval(CLI::App& verb) {
  auto flags = std::make_shared<Flags>();
  EvalOptions& eval = flags->eval;
  verb.add_option("model", eval.model, "checkpoint directory")->required()->type_name("DIR");
  auto* what = verb.add_option_group("what to measure by");
  auto* text = what->add_option("--text", flags->text, "a text: perplexity; of JSON lines field=NAME holds it")
                   ->type_name("FILE[:KEY=VALUE,...]");
  auto* tasks =
      what->add_option(
              "--tasks", flags->tasks.eval.tasks,
              "tasks, separated by commas: names that ship (arc_easy, mmlu, accuracy, hallucination, ...) or files "
              "(mine.yaml)")
          ->delimiter(',')
          ->type_name("NAMES");
  what->require_option(1);
  verb.add_option("--reference", eval.reference,
                  "checkpoint to compare with: KL and top-1 agreement of a text, new errors of tasks")
      ->type_name("DIR");
  verb.add_option("--window", eval.windows.window, "tokens the model sees at once")->capture_default_str()->needs(text);
  verb.add_option("--stride", flags->stride, "tokens from one window to the next (default: the window)")
      ->check(CLI::PositiveNumber)
      ->needs(text);
  verb.add_option("--score-from", eval.windows.score_from, "first position of a window that is scored")->needs(text);
  verb.add_option("--windows", eval.windows.max_windows, "score only the first N windows (default: all)")
      ->type_name("N")
      ->needs(text);
  verb.add_flag("--bare", flags->bare, "do not let the tokenizer add a begin-of-text token")->needs(text);
  verb.add_option("--threads", eval.threads, "CPU threads (default: all)")->check(CLI::NonNegativeNumber);
  AddTaskFlags(verb, tasks, &flags->tasks);
  AddRuntimeFlags(verb, &eval.runtime);
  AddJsonFlag(verb, &flags->json);
  verb.footer(
      "Examples:\n"
      "  ecld-device eval model --text wiki.txt\n"
      "  ecld-device eval model --text answers.jsonl:field=text\n"
      "  ecld-device eval model-w4 --reference model --text wiki.txt --windows 40 --json result.json\n"
      "  ecld-device eval model --tasks arc_easy,piqa --data downloads --limit 200 --samples log");
  return [flags] { Run(*flags); };
}

}  // namespace ecld
