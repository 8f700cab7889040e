#pragma once
// A pass: checkpoint in, checkpoint out. Three functions, no hooks, no session, no globals. A pass object holds only
// its options and is const: the same input and seed give the same bytes. The runner (recipes/runner) is the only
// caller of Run.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/tokenizer/text_source.h"
#include "core/threads.h"
#include "model/machine_rates.h"
#include "model/report_rows.h"

namespace ecld {

// Of a stage. Beside every pass stands a function that makes it of them and THROWS Error for what cannot be.
class Options;

struct PassNeeds {
  bool calibration = false;  // token windows
  bool teacher = false;      // the original checkpoint (or one the user names)
  bool packed = false;       // reads what is quantized as it is stored; a run that begins with another opens it dense
  bool texts = false;        // the calibration texts themselves, for a pass that reads them by a tokenizer of its own
};

// What a plan may look at: facts, of this machine too, never weights.
struct PlanInput {
  ModelConfig config;  // as the stage before will leave it
  std::optional<ModelConfig> teacher;
  int64_t calibration_windows = 0;
  int64_t window_tok = 0;         // tokens of one window
  std::vector<TextSource> texts;  // when Needs().texts
  // The input of the run, whose tokenizer this stage has, or one that was cut from it; and its vocab_size.
  std::filesystem::path tokenizer;
  int64_t tokenizer_vocab_size = 0;
  MachineRates* rates = nullptr;  // null: the plan says no time
  std::string where;              // "recipe.yaml:14: stages[2]", for errors
};

struct Planned {
  ModelConfig config;              // of the output
  uint64_t output_B = 0;           // weight bytes of the output
  uint64_t peak_memory_B = 0;      // anonymous memory while it runs (modelled)
  uint64_t scratch_disk_B = 0;     // beside the output, while it runs
  double seconds = 0;              // modelled from measured rates of arithmetic, disk not counted; 0 = not known
  std::vector<std::string> notes;  // what the user should know: structure changes, clients that cannot load it
};

// Calibration text as token ids: windows of equal length.
struct TokenWindows {
  int64_t window_tok = 0;
  std::vector<std::vector<int32_t>> windows;  // each window_tok long
};

// The first tokens of windows that are spread evenly over a text, from its first token to its last.
// REQUIRES: tokens >= window_tok.
std::vector<int64_t> EvenStarts(int64_t tokens, int64_t windows, int64_t window_tok);

// What a run gets. Plain data.
struct PassContext {
  uint64_t seed = 0;
  ThreadPool* pool = nullptr;                      // of all threads that a pass may use; never null
  const TokenWindows* calibration = nullptr;       // set when Needs().calibration; ids of the input's tokenizer
  const std::vector<TextSource>* texts = nullptr;  // set when Needs().texts
  const Checkpoint* teacher = nullptr;             // set when Needs().teacher
  std::filesystem::path scratch;     // an existing directory for this stage; kept across a kill, removed after
  std::filesystem::path statistics;  // where OutputStatistics keeps its files, for all stages of a run
  Json* report = nullptr;            // this stage's object in report.json; never null
  Json* decided = nullptr;           // keys of config.json that only the data decide; never null
  ReportRows rows;                   // one for each block or tensor; those of killed parts are in it
};

// The config of the output once a pass has run: what was planned, with the keys that the run decided.
ModelConfig WithDecided(const ModelConfig& planned, const Json& decided);

// Where, in its scratch directory, a pass that changes what lies beside the weights (side_files.h: the tokenizer)
// leaves all of it; it is then carried along in place of the input's, which else is.
std::filesystem::path SideFilesOf(const std::filesystem::path& scratch);

class Pass {
 public:
  virtual ~Pass() = default;
  virtual PassNeeds Needs() const = 0;
  // THROWS Error for any user mistake: an option, or a shape this pass cannot do.
  virtual Planned Plan(const PlanInput& input) const = 0;
  // Writes every parameter of Planned::config through out, skipping layers that out says are written (a resumed
  // run). Does not call out.Finish.
  virtual void Run(const Checkpoint& in, CheckpointWriter& out, PassContext& context) const = 0;
};

}  // namespace ecld
