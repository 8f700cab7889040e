#include "recipes/pass_table.h"

#include "core/error.h"
#include "distill/blocks.h"
#include "distill/logits.h"
#include "distill/quantized.h"
#include "prune/ffn.h"
#include "prune/heads.h"
#include "prune/layers.h"
#include "prune/vocab.h"
#include "quantize/allocate.h"
#include "quantize/gptq.h"
#include "quantize/rotate.h"
#include "quantize/round.h"
#include "quantize/scale.h"
#include "quantize/tune.h"

namespace ecld {
namespace {

constexpr PassEntry kPasses[] = {
    {"prune.ffn", MakePruneFfn, "remove feed-forward channels that matter least on calibration text, refit the rest"},
    {"prune.heads", MakePruneHeads,
     "remove attention heads, whole or within their groups, and refit the output matrix"},
    {"prune.layers", MakePruneLayers, "remove whole blocks, by what the model's output loses without each of them"},
    {"prune.vocab", MakePruneVocab, "remove tokens that calibration text needs least, with their rows at both ends"},
    {"distill.blocks", MakeDistillBlocks, "train each block towards the teacher's block output on calibration text"},
    {"distill.logits", MakeDistillLogits, "train all weights of a model towards the teacher's predictions"},
    {"quantize.scale", MakeScale,
     "scale channels so that those calibration text excites round better; the function stays"},
    {"quantize.rotate", MakeRotate,
     "turn the coordinates of a model so that no channel stands out; the function stays"},
    {"quantize.allocate", MakeAllocate,
     "choose each matrix's bits under a budget by measured KL; the rounding stage after it packs by that"},
    {"quantize.round", MakeRound, "round weights to 2 to 6 or 8 bits in groups; no calibration needed"},
    {"quantize.gptq", MakeGptq, "round weights so that what a linear puts out on calibration text changes least"},
    {"quantize.tune", MakeTune, "learn how each block is rounded, towards the output of the dense block"},
    {"distill.quantized", MakeDistillQuantized,
     "train a quantized model inside its grids towards the teacher's predictions"},
};

}  // namespace

std::span<const PassEntry> PassTable() { return kPasses; }

const PassEntry& FindPass(const std::string& name, const std::string& where) {
  std::vector<std::string> names;
  for (const PassEntry& entry : kPasses) {
    if (entry.name == name) return entry;
    names.emplace_back(entry.name);
  }
  Fail(where, "there is no pass \"{}\"{}", name, DidYouMean(name, names));
}

std::vector<OptionFact> OptionFacts(const PassEntry& entry) {
  Options options(YAML::Node(YAML::NodeType::Map), std::string(entry.name), "");
  entry.make(options);
  return options.facts();
}

std::vector<PreparedStage> PrepareStages(Recipe& recipe) {
  std::vector<PreparedStage> prepared;
  for (Stage& stage : recipe.stages) {
    const PassEntry& entry = FindPass(stage.pass, stage.options.Where("pass"));
    auto pass = entry.make(stage.options);
    stage.options.Finish();
    prepared.push_back({stage.pass, stage.options.Where(), std::move(pass)});
  }
  return prepared;
}

}  // namespace ecld
