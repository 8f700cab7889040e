#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "checkpoint/foreign/translation.h"
#include "checkpoint/layer_sizes.h"
#include "cli/device/output.h"
#include "cli/device/verbs.h"
#include "core/progress.h"
#include "runtime/inspect.h"
#include "runtime/tile_cache.h"

namespace ecld {
namespace {

struct Flags {
  std::string model, json;
  bool brief = false;
};

// "1216", or from the least to the largest of a model whose blocks differ.
std::string SizeOf(const ModelConfig& config, int64_t LayerSizes::*size) {
  const auto [least, most] = std::ranges::minmax(SizesOfLayers(config), {}, size);
  return least == most ? std::to_string(most.*size) : fmt::format("{} to {}", least.*size, most.*size);
}

void PrintConfig(const Checkpoint& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  const uint64_t params = ParameterCount(config), interleaved_B = TileCache::FileBytes(checkpoint.directory());
  PrintTable({{"architecture", std::string(Name(config.family))},
              {"parameters", FormatCount(params)},
              {"weights", FormatBytes(checkpoint.WeightBytes())},
              {"laid out for a processor, beside them", interleaved_B > 0 ? FormatBytes(interleaved_B) : "none"},
              {"bits per parameter", fmt::format("{:.2f}", 8.0 * static_cast<double>(checkpoint.WeightBytes()) /
                                                               static_cast<double>(params))},
              {"layers", std::to_string(config.num_layers)},
              {"hidden size", std::to_string(config.hidden_size)},
              {"intermediate size", SizeOf(config, &LayerSizes::intermediate_size)},
              {"heads", fmt::format("{} of {}, {} key-value", SizeOf(config, &LayerSizes::num_heads), config.head_dim,
                                    SizeOf(config, &LayerSizes::num_kv_heads))},
              {"vocabulary", fmt::format("{}{}", config.vocab_size, config.tie_embeddings ? ", head tied" : "")},
              {"positions", std::to_string(config.max_position)}});
  if (const Translation* translation = checkpoint.translation())
    for (const std::string& note : translation->Notes()) fmt::print("note, {}\n", note);
  for (const std::string& note : checkpoint.notes()) fmt::print("note, {}\n", note);
}

void Run(const Flags& flags) {
  const Checkpoint checkpoint = Checkpoint::Open(flags.model);
  if (!flags.json.empty()) {  // its hashes read all weights, which nothing else here does
    WriteJson(flags.json, InspectCheckpoint(checkpoint));
    return;
  }
  PrintConfig(checkpoint);
  if (flags.brief) return;
  std::vector<std::vector<std::string>> rows = {{"tensor", "shape", "format", "bytes"}};
  for (const TensorSpec& spec : checkpoint.table()) {
    std::string shape =
        spec.matrix() ? fmt::format("{} x {}", spec.shape[0], spec.shape[1]) : std::to_string(spec.shape[0]);
    rows.push_back({spec.name, shape, StoredFormat(checkpoint, spec), std::to_string(StoredBytes(checkpoint, spec))});
  }
  fmt::print("\n");
  PrintTable(rows);
}

}  // namespace

std::function<void()> AddInspect(CLI::App& verb) {
  auto flags = std::make_shared<Flags>();
  verb.add_option("model", flags->model, "checkpoint directory")->required()->type_name("DIR");
  verb.add_flag("--brief", flags->brief, "leave the table of tensors out");
  AddJsonFlag(verb, &flags->json);
  verb.footer(
      "--json also has the hash of each block: what is equal in two checkpoints is stored and sent once\n"
      "(`offload`, scenarios that ask \"cache\").\n\nExamples:\n  ecld-device inspect model --brief\n  ecld-device "
      "inspect model-w4 --json -");
  return [flags] { Run(*flags); };
}

}  // namespace ecld
