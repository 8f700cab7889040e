#pragma once
// A recipe: which passes run, in which order, with which options. Read from YAML:
//
//   version: 1
//   name: w4
//   calibration: {windows: 64, window_tok: 512}      # only when a pass needs text; the files: --calibration, or
//     text: wiki.txt                                 # here, one or several:
//     text: [{path: wiki.txt, weight: 2}, {path: chats.jsonl, field: messages}]
//   stages:
//     - pass: quantize.round
//       bits: 4
//   search:                                          # only for `ecld search`: what else values may be, the first of
//     - {at: stages.0.bits, values: [4, 3, 2]}       # them first; `off` leaves the stage out. To `compress` without
//                                                    # effect: it runs the stages as they stand
//
// Reading checks the frame; the options of a stage are checked by the pass that is made of them (pass_table.h). This
// file knows no pass and needs no Torch. Every error carries file, line and path.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tokenizer/text_source.h"
#include "core/options.h"

namespace ecld {

struct CalibrationOptions {
  std::string source = "text";    // "model": the model writes the windows itself, sampled_calibration.h
  std::vector<TextSource> texts;  // none was named: empty
  int64_t windows = 64;           // how many
  int64_t window_tok = 512;       // tokens of each
  std::string choice = "even";    // "even": spread over the text; "random": seeded places; only of a text
  uint64_t seed = 0;

  bool FromModel() const { return source == "model"; }
};

struct Stage {
  std::string pass;
  Options options;  // of the pass; "pass" itself is read
};

// A value of the recipe that a search may change.
struct Variation {
  std::string at;                   // "stages.0.bits"
  size_t stage = 0;                 // the one that it is an option of
  std::vector<std::string> values;  // as YAML; kOff: the stage is left out
};
inline constexpr const char* kOff = "off";

struct Recipe {
  std::string name, description;
  uint64_t seed = 0;
  std::string teacher;  // a checkpoint directory; empty: the input model
  CalibrationOptions calibration;
  std::vector<Stage> stages;
  std::vector<Variation> variations;
  Options root;  // the whole tree; defaults are filled in as options are read

  // The resolved recipe as YAML: the file, the overrides, and every default asked for so far. Reading it again gives
  // the same recipe.
  std::string Resolved() const;
};

// where: the file, for errors. overrides: "stages.0.bits=3", applied in order. Paths inside (calibration.text,
// teacher) are taken relative to base and made absolute. THROWS Error.
Recipe ParseRecipe(std::string_view text, const std::string& where, const std::vector<std::string>& overrides = {},
                   const std::filesystem::path& base = "");

}  // namespace ecld
