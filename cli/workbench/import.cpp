#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <memory>

#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf/gguf_import.h"
#include "cli/device/output.h"
#include "cli/workbench/verbs.h"
#include "core/document.h"
#include "core/error.h"

namespace ecld {
namespace {

constexpr DocumentKind kImportDocument{"ecld.import", "1.0.0"};

struct Flags {
  std::filesystem::path gguf, out;
  ImportOptions options;
  bool overwrite = false;
  std::string json;
};

void Run(const Flags& flags) {
  if (std::filesystem::exists(flags.out) && !flags.overwrite)
    Fail(flags.out.string(), "exists; choose another output, or --overwrite to replace it");
  SetInterruptNote("nothing was written at " + flags.out.string());
  ImportGguf(flags.gguf, flags.out, flags.options);
  const Checkpoint written = Checkpoint::Open(flags.out);
  if (WriteJson(flags.json, NewDocument(kImportDocument, {{"directory", flags.out.string()},
                                                          {"params", ParameterCount(written.config())},
                                                          {"weights_B", written.WeightBytes()}})))
    return;
  fmt::print("{}\n", flags.out.string());
}

}  // namespace

std::function<void()> AddImport(CLI::App& verb) {
  auto flags = std::make_shared<Flags>();
  const std::map<std::string, DType> kDTypes = {{"bf16", DType::kBF16}, {"f16", DType::kF16}, {"f32", DType::kF32}};
  verb.add_option("gguf", flags->gguf, "GGUF file, or any part of a split one")->required()->type_name("FILE");
  verb.add_option("--out", flags->out, "checkpoint directory to make")->required()->type_name("DIR");
  verb.add_option("--dtype", flags->options.dtype, "type of the written weights: bf16 (default), f16, f32")
      ->transform(CLI::CheckedTransformer(kDTypes, CLI::ignore_case).description(""))
      ->type_name("TYPE");
  verb.add_flag("--overwrite", flags->overwrite, "replace an existing output");
  AddJsonFlag(verb, &flags->json);
  verb.footer("Example:\n  ecld import smollm2.gguf --out smollm2");
  return [flags] { Run(*flags); };
}

}  // namespace ecld
