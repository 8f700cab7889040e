#pragma once
// Measures one checkpoint on this device and returns its device profile (profile/profile.h): whole-model phases,
// each layer, each matrix product, load times. Only what was measured is in it: a point skipped for time or memory
// has no row, and its table says "partial". Or models one for a device of the catalogue, every row marked so.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/tokenizer/text_source.h"
#include "eval/profile_scores.h"
#include "profile/profile.h"
#include "runtime/options.h"

namespace ecld {

struct ProfileOptions {
  std::filesystem::path model;  // checkpoint directory
  std::filesystem::path out;    // profile directory, replaced whole
  ScoreFiles scores;            // what is known of its worth
  bool only_scores = false;     // add these to the profile that `out` holds; measure nothing
  TextSource split_text;        // whose windows say what damage at a cut costs; empty: that is not measured
  int64_t split_windows = 4;    // of 512 tokens
  bool full = false;            // the grid of the profile schema, prompt 16..4096 x batch 1..32; default: a short one
  double budget_s = 90;         // no new point starts after this; 0: no limit. Ignored with full
  std::string as_device;        // of the catalogue: model that device's times by its roofline, measure nothing
  std::filesystem::path catalogue;  // empty: the one that ships
  int threads = 0;                  // 0: all cores
  RuntimeOptions runtime = {.precision = Precision::kFast};
  double energy_window_s = 0;  // over which energy is measured, each time; 0: 2 s, or 10 s with full
  std::filesystem::path powercap = "/sys/class/powercap";  // where the kernel shows energy counters
  std::string device_id;                                   // name of the device; empty: from the CPU's
  std::string variant_id;                                  // name of the model variant; empty: the directory's name
  std::string base_model;                                  // what the variant was made from; empty: not known
  std::string recipe_sha256;                               // of the resolved recipe; empty: not known
};

// Measures and writes. THROWS Error: whatever opening the checkpoint, AddScores or writing throws; with
// only_scores, a profile of another checkpoint; an output that touches the model, or holds something else than a
// profile.
DeviceProfile ProfileDevice(const ProfileOptions& options);

}  // namespace ecld
