#pragma once
// Rotary position embedding (RoFormer, Su et al. 2021, arXiv 2104.09864) with the scalings that reach longer texts: the
// one place that reads them from config.json, writes them, and computes by what angle a position turns each pair of a
// head. Everything is defined by transformers 5 (modeling_rope_utils.py), which of two disagreeing keys holds included.
//
// Two kinds depend on how long a text is: its positions are those that transformers gives them in one forward pass over
// the whole text. Not here: rotation of a part of each head, and of image positions.

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace ecld {

struct ModelConfig;

struct RopeScaling {
  enum class Kind {
    kNone,
    kLinear,    // all frequencies divided by factor (Chen et al. 2023, arXiv 2306.15595)
    kLlama3,    // Llama 3.1: those of long wavelengths only
    kYarn,      // by how often a pair turns in the original length; attention is sharpened (arXiv 2309.00071)
    kDynamic,   // a larger theta, by how much a text exceeds max_position_embeddings ("NTK-aware")
    kLongRope,  // a divisor for each pair, one list for texts in the original length, one beyond (arXiv 2402.13753)
  };
  Kind kind = Kind::kNone;
  double factor = 1;  // kLongRope: what attention_factor was computed from, no more
  // kLlama3 only:
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  int64_t original_max_position = 8192;  // kLlama3, kYarn, kLongRope
  double attention_factor = 1;           // kYarn, kLongRope: both cosine and sine are multiplied by it
  // kYarn only: pairs that turn more often than beta_fast keep their frequency, those below beta_slow are divided.
  double beta_fast = 32;
  double beta_slow = 1;
  bool truncate = true;                           // the pairs at these two bounds are rounded to whole ones, outwards
  std::vector<double> short_factor, long_factor;  // kLongRope only: [head_dim / 2]
};
std::string_view Name(RopeScaling::Kind kind);  // the rope_type of config.json: "default", "linear", ...

// Fills rope_theta and rope_scaling from "rope_scaling", "rope_parameters" and "rope_theta", and adds to notes what
// disagrees or has no effect. REQUIRES: head_dim and max_position are set; rope_theta is what the family has where the
// file does not say it, and window_rope_theta where its layers with a window turn in their own way. THROWS Error with
// file and key path: an unknown field or kind, a value that is missing or out of range.
void ReadRope(const JsonView& json, ModelConfig* config);
// Puts rope_theta and rope_scaling where json has no rope_parameters, each where it is absent.
void WriteRope(const ModelConfig& config, Json* json);

// By what a text is turned.
struct Rope {
  std::vector<float> frequencies;  // [head_dim / 2], in radians per position
  float attention_factor = 1;
};

// Layers of a model turn in one way, or those with a window in another than the rest. How many ways there are, and the
// index of a layer's.
int64_t RopeKinds(const ModelConfig& config);
int64_t RopeKind(const ModelConfig& config, int64_t layer);

// Of a text of so many tokens. In float32 as transformers computes it: early rounding shows at late positions.
// REQUIRES: kind < RopeKinds(config).
Rope MakeRope(const ModelConfig& config, int64_t text_tok, int64_t kind = 0);
// Texts for which this is equal have the same Rope; 0 for all where the kind does not depend on length.
int64_t RopeLength(const ModelConfig& config, int64_t text_tok);
// The most tokens that the config is meant for: max_position, and what its scaling makes of it.
int64_t LongestText(const ModelConfig& config);

// By what kLlama3 divides the frequency of pair i of a head (of head_dim / 2), in double.
double Llama3Divisor(const RopeScaling& scaling, double theta, int64_t head_dim, int64_t i);

// What yarn multiplies cosine and sine by where nothing else is said: 0.1 scale log(factor) + 1.
double YarnAttention(double factor, double scale = 1);

// Appends cosine and sine of each pair at a position.
void AppendRotation(const Rope& rope, int64_t position, std::vector<float>* cosine, std::vector<float>* sine);

}  // namespace ecld
