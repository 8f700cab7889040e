#pragma once
// Calibration text as windows of token ids: what passes that look at activations run through the model. Several files
// give windows by their weights, and each of them all along: whoever looks at the first windows, or keeps back the
// last, sees every file.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "model/pass.h"
#include "recipes/recipe.h"

namespace ecld {

// Cuts windows that do not overlap: "even" spreads them from the first token to the last, "random" draws their places
// with the seed; in the order of the text either way. where: the file, for errors. THROWS Error when ids are too few,
// saying how many it takes.
TokenWindows CutWindows(std::span<const int32_t> ids, const CalibrationOptions& options, const std::string& where);

// How many of the windows each source gives: the nearest to its weight's share (largest remainders; of equal ones the
// first). THROWS Error when one would give none.
std::vector<int64_t> SharesOf(const std::vector<TextSource>& sources, int64_t windows);

// What one file gave.
struct CalibrationFile {
  TextSource source;
  std::string content;  // "text", "120 documents in field text"
  int64_t tokens = 0;   // of the whole file
  int64_t windows = 0;  // taken of them
};

struct Calibration {
  TokenWindows windows;
  std::vector<CalibrationFile> files;
};

// Reads options.texts with the tokenizer and chat template of model. THROWS Error: no text named, unreadable, too
// short for its share, an id that the model's vocabulary does not have.
Calibration ReadCalibration(const CalibrationOptions& options, const Checkpoint& model);

// SHA-256 of the text, for the identity of a run: of the file, or of the hashes of several. THROWS Error.
std::string CalibrationSha256(const CalibrationOptions& options);

Json ToJson(const std::vector<CalibrationFile>& files);

// THROWS Error when a window has more tokens than the model has positions.
void CheckWindow(const CalibrationOptions& options, const Checkpoint& model);

// Files as a command line names them (ParseTextSource), as the override of a recipe that says the same:
// "calibration.text=...": the path of one file that says nothing more, or a list. As JSON, which YAML reads too: a path
// may hold anything.
std::string CalibrationOverride(const std::vector<std::string>& arguments);

}  // namespace ecld
