#pragma once
// The device profile of a checkpoint (profile/format/profile.h), made in one of three ways: measured on this machine,
// modelled for a device of the catalogue, or, of one that is there, scored anew. Each writes the profile and returns
// what was read back.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/tokenizer/text_source.h"
#include "profile/format/profile.h"
#include "profiler/profile_scores.h"
#include "runtime/options.h"

namespace ecld {

struct ProfileOptions {
  std::filesystem::path model;  // checkpoint directory
  std::filesystem::path out;    // profile directory, replaced whole
  ScoreFiles scores;            // what is known of its worth
  TextSource split_text;        // whose windows say what damage at a cut costs; empty: that is not measured
  int64_t split_windows = 4;    // of 512 tokens
  bool split_full = false;      // the whole grid of cuts and damages, as with full
  bool full = false;            // the grid of the profile schema, prompt 16..4096 x batch 1..32; default: a short one
  double budget_s = 90;         // no new point starts after this; 0: no limit. Ignored with full
  int threads = 0;              // 0: all cores
  RuntimeOptions runtime = {.precision = Precision::kFast};
  double energy_window_s = 0;  // over which energy is measured, each time; 0: 2 s, or 10 s with full
  std::filesystem::path powercap = "/sys/class/powercap";  // where the kernel shows energy counters
  std::string device_id;                                   // name of the device; empty: from the CPU's
  std::string variant_id;                                  // name of the model variant; empty: the directory's name
  std::string base_model;                                  // what the variant was made from; empty: not known
};

// Whole-model phases, each layer, each matrix product, load times, as they were measured here: a point skipped for time
// or memory has no row, and its table says "partial". THROWS Error: whatever opening the checkpoint, AddScores or
// writing throws; an output that touches the model, or holds something else than a profile.
DeviceProfile MeasureProfile(const ProfileOptions& options);

// By the roofline of a device of the catalogue (empty: the one that ships), every row marked so. Of the options those
// about measuring count nothing. THROWS Error as above; what the catalogue does not have, or says too little of.
DeviceProfile ModelProfile(const ProfileOptions& options, const std::string& device,
                           const std::filesystem::path& catalogue = "");

// Puts other scores into the profile of that checkpoint at `profile`. THROWS Error: no scores; a profile of another
// checkpoint; whatever AddScores or writing throws.
DeviceProfile RescoreProfile(const std::filesystem::path& profile, const std::filesystem::path& model,
                             const ScoreFiles& scores);

}  // namespace ecld
