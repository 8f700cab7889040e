#include "recipes/pass_table.h"

#include <array>

#include "core/error.h"
#include "distill/blocks.h"
#include "prune/ffn.h"
#include "quantize/allocate.h"
#include "quantize/gptq.h"
#include "quantize/rotate.h"
#include "quantize/round.h"
#include "quantize/scale.h"
#include "quantize/tune.h"

namespace ecld {
namespace {

PackedFormat ReadFormat(Options& options, const PackedFormat& fallback) {
  PackedFormat format;
  format.bits = static_cast<int>(options.Int("bits", fallback.bits, 2, 8, "bits of a weight's code"));
  format.group_size =
      options.Int("group_size", fallback.group_size, 0, 1 << 20, "inputs that share a scale; 0: a whole row");
  format.symmetric =
      options.Bool("symmetric", fallback.symmetric, "codes around zero; false: each group has a zero point too");
  CheckFormat(format, options.Where());
  return format;
}

// A mapping that, when it is there, gives a format of its own; what it leaves out is as in fallback.
std::optional<PackedFormat> ReadOwnFormat(Options& options, const std::string& key, const std::string& help,
                                          const PackedFormat& fallback) {
  if (!options.Has(key, "a mapping of bits, group_size, symmetric; without it, dense", help)) return std::nullopt;
  Options own = options.Map(key);
  PackedFormat format = ReadFormat(own, fallback);
  own.Finish();
  return format;
}

SchemeOverride ReadOverride(Options options, const PackedFormat& fallback) {
  if (!options.Has("match")) Fail(options.Where(), "names no matrices, like match: \"*.mlp.down_proj\"");
  SchemeOverride override;
  override.match = options.String("match", "", "module names, with * for anything, or re: and a regular expression");
  if (!options.Bool("dense", false, "keep these matrices as they are")) override.format = ReadFormat(options, fallback);
  options.Finish();
  return override;
}

Clip ReadClip(Options& options, const std::string& fallback) {
  return options.Choice("clip", fallback, {"minmax", "mse"},
                        "a group's range: its extremes, or shrunk where that lowers the squared error") == "mse"
             ? Clip::kMse
             : Clip::kMinMax;
}

Scheme ReadScheme(Options& options) {
  Scheme scheme;
  scheme.format = ReadFormat(options, scheme.format);
  scheme.embeddings =
      ReadOwnFormat(options, "embeddings", "pack the embedding, and the head tied to it", scheme.format);
  scheme.lm_head = ReadOwnFormat(options, "lm_head", "pack a head that is not tied", scheme.format);
  for (const Options& item : options.List(
           "overrides",
           "matrices by name with a format of their own: match, and bits, group_size, symmetric, or dense: true"))
    scheme.overrides.push_back(ReadOverride(item, scheme.format));
  return scheme;
}

std::unique_ptr<Pass> MakeRound(Options& options) {
  RoundOptions round;
  round.scheme = ReadScheme(options);
  round.clip = ReadClip(options, "minmax");
  return std::make_unique<RoundPass>(std::move(round));
}

HessianOptions ReadHessian(Options& options) {
  HessianOptions hessian;
  hessian.damping = options.Number("damping", hessian.damping, 1e-6, 1,
                                   "added to the diagonal of the Hessian, as a share of its mean");
  hessian.activation_order =
      options.Bool("activation_order", hessian.activation_order, "round the inputs of most energy first");
  hessian.input_share = options.Number("input_share", hessian.input_share, 0, 1e6,
                                       "of a tied embedding: how much being read counts against being scored");
  return hessian;
}

std::unique_ptr<Pass> MakeGptq(Options& options) {
  GptqOptions gptq;
  gptq.scheme = ReadScheme(options);
  gptq.clip = ReadClip(options, "mse");
  gptq.hessian = ReadHessian(options);
  return std::make_unique<GptqPass>(std::move(gptq));
}

std::unique_ptr<Pass> MakeTune(Options& options) {
  TuneOptions tune;
  tune.scheme = ReadScheme(options);
  tune.clip = ReadClip(options, "mse");
  tune.steps = options.Int("steps", tune.steps, 1, 100'000, "steps of training on one block");
  tune.batch_windows = options.Int("batch_windows", tune.batch_windows, 1, 1 << 16, "windows of one step");
  tune.learning_rate = options.Number("learning_rate", tune.learning_rate, 0, 1,
                                      "of the signed steps, falling to zero; 0: one over the steps");
  tune.held_out =
      options.Number("held_out", tune.held_out, 0, 0.9,
                     "share of the windows that only judge: a block that did not get better is rounded to nearest");
  tune.ends = ReadHessian(options);
  return std::make_unique<TunePass>(std::move(tune));
}

std::unique_ptr<Pass> MakeAllocate(Options& options) {
  AllocateOptions allocate;
  allocate.budget_MB = options.Number("budget_MB", 0, 0, 1e9,
                                      "of all weights of the result, in millions of bytes; 0: bits_per_weight says it");
  allocate.bits_per_weight = options.Number("bits_per_weight", 0, 0, 32,
                                            "the same as a mean over all parameters, scales and dense ones included");
  PackedFormat fallback{.bits = 4, .group_size = 32, .symmetric = false};
  for (Options item : options.List("formats",
                                   "what a matrix may become: mappings of bits, group_size, symmetric; "
                                   "without it 2 to 6 and 8 bits, asymmetric, in groups of 32")) {
    allocate.formats.emplace_back(ReadFormat(item, fallback));
    item.Finish();
  }
  if (allocate.formats.empty())
    for (int bits : {2, 3, 4, 5, 6, 8}) allocate.formats.emplace_back(PackedFormat{bits, 32, false});
  if (options.Bool("dense", false, "a matrix may also stay as it is")) allocate.formats.emplace_back(std::nullopt);
  allocate.fuse = options.Bool("fuse", allocate.fuse, "q, k, v of a block share a format, and gate, up");
  allocate.embeddings = options.Bool("embeddings", allocate.embeddings, "the embedding may be packed");
  allocate.lm_head = options.Bool("lm_head", allocate.lm_head, "a head that is not tied may be packed");
  allocate.sensitivity.exact =
      options.Bool("exact", allocate.sensitivity.exact,
                   "run each matrix in every format; otherwise in one, and the others by their output errors");
  allocate.sensitivity.sample_tok = options.Int("sample_tok", allocate.sensitivity.sample_tok, 1, 1 << 24,
                                                "tokens of the calibration text that are looked at");
  allocate.sensitivity.clip = ReadClip(options, "mse");
  return std::make_unique<AllocatePass>(std::move(allocate));
}

std::unique_ptr<Pass> MakeScale(Options& options) {
  ScaleOptions scale;
  scale.format = ReadFormat(options, scale.format);
  scale.clip = ReadClip(options, "minmax");
  scale.steps = options.Int("steps", scale.steps, 1, 1000, "exponents tried, from 0 to below 1");
  scale.sample_tok = options.Int("sample_tok", scale.sample_tok, 1, 1 << 24,
                                 "tokens, spread over the calibration text, on which an exponent is judged");
  return std::make_unique<ScalePass>(scale);
}

std::unique_ptr<Pass> MakeRotate(Options& options) {
  RotateOptions rotate;
  rotate.residual = options.Bool("residual", rotate.residual, "rotate the states between blocks");
  rotate.values = options.Bool("values", rotate.values, "rotate within each attention head, between values and output");
  return std::make_unique<RotatePass>(rotate);
}

std::unique_ptr<Pass> MakePruneFfn(Options& options) {
  PruneFfnOptions prune;
  prune.ratio = options.Number("ratio", prune.ratio, 0, 0.95, "share of the feed-forward channels to remove");
  prune.multiple_of = options.Int("multiple_of", prune.multiple_of, 1, 1 << 20,
                                  "what is left is a multiple of this, as a later group size wants it");
  prune.repair = options.Bool("repair", prune.repair, "refit the output matrix to what the whole block put out");
  prune.ridge = options.Number("ridge", prune.ridge, 0, 1e6,
                               "of the refit: how much a change costs, relative to the mean energy of a channel");
  return std::make_unique<PruneFfnPass>(prune);
}

std::unique_ptr<Pass> MakeDistillBlocks(Options& options) {
  DistillBlocksOptions distill;
  distill.epochs = options.Int("epochs", distill.epochs, 1, 10'000, "times each block sees the training windows");
  distill.learning_rate = options.Number("learning_rate", distill.learning_rate, 0, 1, "of AdamW, at its highest");
  distill.batch_windows = options.Int("batch_windows", distill.batch_windows, 1, 1 << 16, "windows of one step");
  distill.held_out =
      options.Number("held_out", distill.held_out, 0, 0.9,
                     "share of the windows that only judge: a block that did not get better keeps its weights");
  distill.weight_decay = options.Number("weight_decay", distill.weight_decay, 0, 1,
                                        "of AdamW: how much of the weights each step takes away");
  return std::make_unique<DistillBlocksPass>(distill);
}

constexpr std::array kPasses = {
    PassEntry{"prune.ffn", "remove feed-forward channels that matter least on calibration text, refit the rest",
              MakePruneFfn},
    PassEntry{"distill.blocks", "train each block towards the teacher's block output on calibration text",
              MakeDistillBlocks},
    PassEntry{"quantize.scale",
              "scale channels so that those calibration text excites round better; the function stays", MakeScale},
    PassEntry{"quantize.rotate", "turn the coordinates of a model so that no channel stands out; the function stays",
              MakeRotate},
    PassEntry{"quantize.allocate",
              "choose each matrix's bits under a budget by measured KL; the rounding stage after it packs by that",
              MakeAllocate},
    PassEntry{"quantize.round", "round weights to 2 to 6 or 8 bits in groups; no calibration needed", MakeRound},
    PassEntry{"quantize.gptq", "round weights so that what a linear puts out on calibration text changes least",
              MakeGptq},
    PassEntry{"quantize.tune", "learn how each block is rounded, towards the output of the dense block", MakeTune},
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
