#pragma once
// "quantization_config" of config.json in the forms of other programs (compressed-tensors, FP8, GPTQ, AWQ, AutoRound):
// how the modules are stored. Every field is applied, known to be without effect on the stored weights, kept as a
// sentence of what ECLD does not do (rounding activations), or an Error by name; an unknown field is an Error.
//
// A scheme says what the bytes mean; that a module is stored so is seen from its tensors (matrix.h), and what it
// becomes here is decided when a checkpoint is opened (translation.h).

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint/known_fields.h"
#include "checkpoint/quantization_config.h"
#include "core/json.h"
#include "kernels/packing/packed_format.h"

namespace ecld {

constexpr std::string_view kGroupsMethod = "compressed-tensors";  // the method that has config_groups

// What the matrices of a checkpoint become when it is opened.
enum class Unpacking {
  kKeep,   // packed where that is without loss
  kDense,  // all of them dense: what passes work on
};

enum class ForeignLayout {
  kPacked,   // compressed-tensors pack-quantized; kernels/packing/FORMAT.md
  kInteger,  // int8 codes in "weight"
  kFloat,    // 8-bit floats in "weight"
  kGptq,
  kAwq,
};

struct ForeignScheme {
  ForeignLayout layout = ForeignLayout::kPacked;
  int bits = 8;
  bool symmetric = true;
  // What shares a scale; 0 = all outputs, all inputs.
  int64_t block_outputs = 1;
  int64_t block_inputs = 0;
  bool block_is_open = false;   // kFloat: the config does not say, and the number of scales does
  bool group_index = false;     // each input names its group ("actorder": "group", "desc_act")
  bool zeros_minus_one = true;  // kGptq: version 1 of the format

  // The format of ours with the same codes and groups; nullopt: there is none.
  std::optional<PackedFormat> Packed() const;
  bool operator==(const ForeignScheme&) const = default;
};

// Hadamard matrices that a runtime has to apply to the inputs of a module. They are folded into its weight.
struct InputTransform {
  std::string name;                          // of its group in the config
  std::vector<std::string> targets, ignore;  // as in QuantizationConfig
  int64_t block = 0;                         // inputs that are transformed together; 0 = all
};

struct ForeignConfig {
  struct Group {
    std::string name;
    std::vector<std::string> targets;
    std::optional<ForeignScheme> scheme;  // nullopt: the weights are not quantized
  };
  std::string method;  // "gptq"
  std::vector<Group> groups;
  std::vector<std::string> ignore;
  std::vector<InputTransform> transforms;
  std::vector<std::string> unapplied;  // what the config asks of a runtime and ECLD does not do, as sentences
  Json source;                         // as it was found

  // Of a module that has these names; nullptr: not quantized. An exact name beats a regex, which beats a class.
  // THROWS Error: compressed-tensors with two groups that say different things and are equally specific.
  const ForeignScheme* SchemeOf(const std::vector<std::string>& names, std::string_view module_class) const;
  // nullopt: something in it is not ours as it is.
  std::optional<QuantizationConfig> Native() const;
};

// json: the quantization_config object. THROWS Error with the key path.
ForeignConfig ParseForeignConfig(const JsonView& json);

// What a model directory says outside config.json: "quantize_config.json" of GPTQ and "quant_config.json" of AWQ.
// config: what config.json says, or nothing; it wins where the two disagree. Returns what is to be told.
std::vector<std::string> ReadQuantizeFile(const std::filesystem::path& directory, std::optional<ForeignConfig>* config);

// Two numbers, or one text "64x32": the outputs and the inputs of a block that shares a scale. THROWS Error.
std::pair<int64_t, int64_t> ReadBlock(const JsonView& json);

// One parser for each "quant_method".
ForeignConfig ParseCompressedTensors(const JsonView& json);
ForeignConfig ParseFp8(const JsonView& json);
ForeignConfig ParseGptq(const JsonView& json);
ForeignConfig ParseAwq(const JsonView& json);
ForeignConfig ParseAutoRound(const JsonView& json);
// "transform_config" of compressed-tensors.
std::vector<InputTransform> ParseTransforms(const JsonView& json);

}  // namespace ecld
