// tiny_checkpoint DIR [OPTIONS-JSON]: writes a tiny checkpoint for the oracles. The options are the fields of
// TinyOptions: {"family": "qwen2", "tied": true, "rope_scaling": "llama3", "dtype": "BF16", "hidden_size": 64, ...}
#include <cstdio>
#include <string>

#include "core/error.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

TinyOptions ParseOptions(const JsonView& json) {
  TinyOptions options;
  const std::string family = json.StringOr("family", "llama"), scaling = json.StringOr("rope_scaling", "default");
  for (Family known : kEveryFamily)
    if (family == Name(known)) options.family = known;
  using enum RopeScaling::Kind;
  for (RopeScaling::Kind known : {kNone, kLinear, kLlama3, kYarn, kDynamic, kLongRope})
    if (scaling == Name(known)) options.rope_scaling = known;
  if (Name(options.rope_scaling) != scaling) Fail("rope_scaling", "unknown: {}", scaling);
  if (Name(options.family) != family) Fail("family", "unknown: {}", family);
  options.dtype = DTypeFromName(json.StringOr("dtype", "F32")).value();
  options.seed = static_cast<uint64_t>(json.IntOr("seed", 1));
  for (auto [key, field] : {std::pair{"tied", &TinyOptions::tied},
                            {"bias", &TinyOptions::bias},
                            {"uneven", &TinyOptions::uneven},
                            {"rope_parameters", &TinyOptions::rope_parameters}})
    options.*field = json.BoolOr(key, options.*field);
  for (auto [key, field] : {std::pair{"sliding_window", &TinyOptions::sliding_window},
                            {"head_dim", &TinyOptions::head_dim},
                            {"hidden_size", &TinyOptions::hidden_size},
                            {"intermediate_size", &TinyOptions::intermediate_size},
                            {"num_layers", &TinyOptions::num_layers},
                            {"num_heads", &TinyOptions::num_heads},
                            {"num_kv_heads", &TinyOptions::num_kv_heads},
                            {"vocab_size", &TinyOptions::vocab_size},
                            {"max_position", &TinyOptions::max_position}})
    options.*field = json.IntOr(key, options.*field);
  return options;
}

}  // namespace
}  // namespace ecld

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: tiny_checkpoint DIR [OPTIONS-JSON]\n", stderr);
    return 2;
  }
  try {
    const ecld::Json json = ecld::ParseJson(argc > 2 ? argv[2] : "{}", "options");
    ecld::WriteTinyCheckpoint(argv[1], ecld::ParseOptions(ecld::JsonView(json, "options")));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tiny_checkpoint: %s\n", error.what());
    return 1;
  }
}
