#pragma once
// The measurements behind ProfileDevice, one function per group of tables. Each returns the rows it could measure and
// says "partial" where the grid has points that it left out for time or memory.

#include <chrono>
#include <filesystem>
#include <optional>
#include <vector>

#include "core/threads.h"
#include "measure/energy_meter.h"
#include "measure/measure.h"
#include "profile/format/profile.h"
#include "profile/score/catalogue.h"
#include "runtime/model.h"

namespace ecld {

struct ProfileGrid {
  std::vector<int64_t> prompts_tok, batches;
  int64_t gen_tok = 8;
  std::vector<int64_t> op_rows;  // m of the matrix products, and of norm, act, rope and add
};

// Time that is left for a group of tables.
class TimeBudget {
 public:
  explicit TimeBudget(double seconds) : seconds_(seconds) {}  // 0: no limit
  bool Allows(double more_s) const {
    std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start_;
    return seconds_ == 0 || spent.count() + more_s <= seconds_;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double seconds_;
};

struct GridPoint {
  int64_t batch, prompt_tok;
};
// The points that the model has the positions for, cheapest first.
std::vector<GridPoint> GridPoints(const ProfileGrid& grid, const ModelConfig& config);

struct LayerShape {
  size_t index = 0;   // 0: embedding; then the blocks; num_layers + 1: head
  const char* phase;  // "prefill", "decode"
  int64_t batch = 1, tok = 1, ctx_tok = 0;
};
// Adds a row to layers.csv with everything that the shape says; time, source and samples are left to the caller.
// weight_B: of WeightBytesByLayer.
void AddLayerShape(const RuntimeModel& model, const std::vector<int64_t>& weight_B, const LayerShape& shape,
                   Table* layers);

inline constexpr int kProfileWarmup = MeasureOptions().warmup;
inline constexpr int kProfileReps = MeasureOptions().min_reps;  // at least; more where they are short
inline constexpr uint64_t kProfileSeed = 1;

struct PhaseTables {
  ProfileTable phase, layers;
  int64_t max_batch = 0;  // measured
};

// How energy is measured: the work is repeated for at least this long, while prompts are read and again while tokens
// are generated, and the mean power of each is multiplied by the times of the row. Idle power is in it.
struct EnergyWindow {
  EnergyMeter* meter = nullptr;  // nullptr: not at all
  double seconds = 2;
};

// phase.csv and layers.csv from the same runs: at each grid point whole requests (prefill, then gen_tok decode steps,
// random tokens) with the clock read at every layer boundary.
PhaseTables MeasurePhases(const RuntimeModel& model, ThreadPool& pool, const ProfileGrid& grid,
                          const TimeBudget& budget, const EnergyWindow& energy = {});

// The same by the roofline of a device that nobody ran it on (Williams et al. 2009): a layer takes as long as its bytes
// need at the device's memory rate, or its operations at its peak, whichever is longer. A bound from below; real
// programs stay away from both. Without a known peak nothing is said of prompts, without a known rate nothing at all.
PhaseTables ModelPhases(const RuntimeModel& model, const CatalogueDevice& device, const ProfileGrid& grid);

// cuts.csv, by counting: what crosses the network and what stays on the device at every layer boundary, for prompts of
// the grid's lengths and for one token.
ProfileTable Cuts(const RuntimeModel& model, const ProfileGrid& grid);

// ops.csv: every matrix product of the model, by shape and storage, and its other ops, with every kernel that supports
// them. Repetitions walk through all matrices of the shape, so that weights come from memory as they do in a model.
// Attention is that of one sequence, over the contexts of prompts_tok, with the cache that the model runs with.
ProfileTable MeasureOps(const RuntimeModel& model, ThreadPool& pool, const ProfileGrid& grid, const TimeBudget& budget);

// load.csv: from opening the directory to the first logits of a one-token prompt. "ram": files in the page cache;
// "disk": dropped from it, and left out where the kernel kept them. "cold", after a start of the machine, cannot be
// measured from inside it. REQUIRES: nothing has the checkpoint mapped.
ProfileTable MeasureLoads(const std::filesystem::path& directory, const RuntimeOptions& options, ThreadPool& pool);

}  // namespace ecld
