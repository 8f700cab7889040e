#pragma once
// A profile in the forms that other people's schedulers, simulators and tools read. What a form cannot express, or the
// profile does not have, is refused by name; nothing is made up to fill a column: a column without a figure is empty.

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "profile/format/profile.h"

namespace ecld {

using ExportedFiles = std::map<std::string, std::string>;  // path below the output directory -> content

struct ExportFormat {
  std::string_view name, summary;
  ExportedFiles (*make)(const DeviceProfile& profile);  // THROWS Error
};

//   aiconfigurator  NVIDIA AIConfigurator 0.12: a systems directory with tables of single operations (as CSV;
//                   scripts/csv_to_parquet.py makes the Parquet it loads), and the model's config.json
//   distserve       coefficients of the fit, as DistServe's simulator has them for its models
//   llama-bench     rows of llama.cpp's llama-bench, JSON lines; batch 1, the only one it has
//   splitwise-sim   the table of splitwise-sim's `db` performance model
//   vidur           mlp.csv and attention.csv of vidur's execution time predictor
std::span<const ExportFormat> ExportFormats();

// THROWS Error: no such format, naming the known ones; what the format's own function refuses.
ExportedFiles ExportProfile(const DeviceProfile& profile, std::string_view format);

// Writes them below a directory that is new or empty; it appears whole or not at all. THROWS Error.
void WriteExported(const std::filesystem::path& directory, const ExportedFiles& files);

}  // namespace ecld
