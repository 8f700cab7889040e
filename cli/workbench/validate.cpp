#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "cli/device/output.h"
#include "cli/workbench/verbs.h"
#include "core/document.h"
#include "core/progress.h"
#include "recipes/pass_table.h"
#include "recipes/shipped.h"
#include "recipes/verify.h"

namespace ecld {
namespace {

constexpr DocumentKind kValidationDocument{"ecld.validation", "1.0.0"};

struct Flags {
  std::string target, json;
};

void ValidateRecipe(const Flags& flags) {
  Recipe recipe = ReadRecipe(flags.target);
  PrepareStages(recipe);
  if (WriteJson(flags.json, NewDocument(kValidationDocument,
                                        {{"kind", "recipe"}, {"name", recipe.name}, {"stages", recipe.stages.size()}})))
    return;
  fmt::print("{}: a recipe of {} stages, and all options are known. Resolved:\n\n{}", flags.target,
             recipe.stages.size(), recipe.Resolved());
}

void ValidateCheckpoint(const Flags& flags) {
  const auto [verified, tokens] = VerifyModel(flags.target);
  if (WriteJson(flags.json, NewDocument(kValidationDocument, {{"kind", "checkpoint"},
                                                              {"tensors", verified.tensors},
                                                              {"weights_B", verified.bytes},
                                                              {"tokens", tokens}})))
    return;
  fmt::print("{}: a checkpoint of {} tensors, {}, complete and sane; its tokenizer has {} tokens\n", flags.target,
             verified.tensors, FormatBytes(verified.bytes), tokens);
}

}  // namespace

std::function<void()> AddValidate(CLI::App& verb) {
  auto flags = std::make_shared<Flags>();
  verb.add_option("target", flags->target, "checkpoint directory, recipe file, or name of a shipped recipe")
      ->required();
  AddJsonFlag(verb, &flags->json);
  verb.footer("Examples:\n  ecld validate model-w4\n  ecld validate my.yaml\n  ecld validate quickstart");
  return [flags] {
    if (std::filesystem::is_directory(flags->target))
      ValidateCheckpoint(*flags);
    else
      ValidateRecipe(*flags);
  };
}

}  // namespace ecld
