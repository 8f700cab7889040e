#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "cli/device/verbs.h"
#include "profile/export/export.h"

namespace ecld {
namespace {

struct Flags {
  std::filesystem::path profile, out;
  std::string format;
};

void Run(const Flags& flags) {
  const ExportedFiles files = ExportProfile(ReadProfile(flags.profile), flags.format);
  WriteExported(flags.out, files);
  for (const auto& [name, content] : files) fmt::print("{}\n", (flags.out / name).string());
}

}  // namespace

std::function<void()> AddProfileExport(CLI::App& verb) {
  auto flags = std::make_shared<Flags>();
  std::string formats, names;
  for (const ExportFormat& format : ExportFormats()) {
    formats += fmt::format("  {:<16}{}\n", format.name, format.summary);
    names += fmt::format("{}{}", names.empty() ? "" : "|", format.name);
  }
  verb.add_option("profile", flags->profile, "profile directory")->required()->type_name("DIR");
  verb.add_option("--format", flags->format, "what to write")->required()->type_name(names);
  verb.add_option("--out", flags->out, "directory to write, new or empty")->required()->type_name("DIR");
  verb.footer("Formats:\n" + formats +
              "\nExample:\n  ecld-device profile export model-w4.profile --format splitwise-sim --out tables");
  return [flags] { Run(*flags); };
}

}  // namespace ecld
