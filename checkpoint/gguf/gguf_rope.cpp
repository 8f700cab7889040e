#include "checkpoint/gguf/gguf_rope.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace ecld {
namespace {

using enum RopeScaling::Kind;

constexpr std::string_view kFreqs = "rope_freqs.weight";
constexpr std::string_view kShort = "rope_factors_short.weight", kLong = "rope_factors_long.weight";

// Numbers that went through a 32-bit float, or were multiplied after it.
bool Same(double a, double b) { return std::abs(a - b) <= 1e-6 * std::max(std::abs(a), std::abs(b)); }

class RopeReader {
 public:
  RopeReader(const GgufArchitecture& view, int64_t head_dim, double theta, int64_t context)
      : view_(view), head_dim_(head_dim), theta_(theta), original_(view.SizeOr(kOriginal, context)) {}

  Json Read() {
    CheckKeys();
    const double factor = Factor();
    const GgufValue* type = view_.Find(kType);
    const std::string name = type ? type->String() : factor == 1 ? "none" : "linear";
    const bool plain = name == "none" || (name == "linear" && factor == 1);
    const Json llama3 = Llama3();
    if (!llama3.is_null() && !plain)
      Fail(Where(kFreqs), "and rope type \"{}\" with factor {} in one model are not supported", name, factor);
    for (std::string_view tensor : {kShort, kLong})
      if (Find(tensor) && name != "longrope") Fail(Where(tensor), "needs rope type \"longrope\", found \"{}\"", name);
    if (name == "yarn") return Yarn(factor);
    if (name == "longrope") return LongRope(factor);
    if (name != "none" && name != "linear")
      Fail(type->Where(), "\"{}\" is not supported; none, linear, yarn, longrope and llama3 factors are", name);
    if (attention_ != 1)
      Fail(view_.At(kAttention).Where(), "is {}, which rope type \"{}\" of a config cannot say", attention_, name);
    if (!llama3.is_null()) return llama3;
    return plain ? Json(nullptr) : Json{{"rope_type", "linear"}, {"factor", factor}};
  }

 private:
  static constexpr const char* kType = "rope.scaling.type";
  static constexpr const char* kOriginal = "rope.scaling.original_context_length";
  static constexpr const char* kAttention = "rope.scaling.attn_factor";

  void CheckKeys() const {
    static constexpr std::array kKnown = {"dimension_count",
                                          "freq_base",
                                          "scale_linear",
                                          "scaling.type",
                                          "scaling.factor",
                                          "scaling.attn_factor",
                                          "scaling.original_context_length",
                                          "scaling.finetuned",
                                          "scaling.yarn_log_multiplier",
                                          "scaling.yarn_ext_factor",
                                          "scaling.yarn_attn_factor",
                                          "scaling.yarn_beta_fast",
                                          "scaling.yarn_beta_slow"};
    const std::string prefix = view_.name + ".rope.";
    for (auto at = view_.gguf.metadata.lower_bound(prefix);
         at != view_.gguf.metadata.end() && at->first.starts_with(prefix); ++at)
      if (std::ranges::find(kKnown, at->first.substr(prefix.size())) == kKnown.end())
        Fail(at->second.Where(), "is not known, so what it does to positions would be lost");
    if (const int64_t rotated = view_.SizeOr("rope.dimension_count", head_dim_); rotated != head_dim_)
      Fail(view_.At("rope.dimension_count").Where(), "{} of {} dimensions: partial rotary embedding is not supported",
           rotated, head_dim_);
  }

  double Factor() const {
    const double factor = view_.NumberOr("rope.scaling.factor", view_.NumberOr("rope.scale_linear", 1));
    return factor == 0 ? 1 : factor;  // as llama.cpp reads it
  }

  const GgufTensor* Find(std::string_view tensor) const {
    const auto found = view_.gguf.tensors.find(tensor);
    return found == view_.gguf.tensors.end() ? nullptr : &found->second;
  }
  std::string Where(std::string_view tensor) const { return fmt::format("{}: tensor {}", view_.gguf.where, tensor); }

  std::vector<float> Divisors(std::string_view name) const {
    const GgufTensor* tensor = Find(name);
    if (!tensor) Fail(view_.gguf.where, "has no tensor {}, which rope type \"longrope\" needs", name);
    if (tensor->type != GgmlType::kF32 || tensor->Elements() != head_dim_ / 2)
      Fail(Where(name), "expected {} values of type F32, found {} of type {}", head_dim_ / 2, tensor->Elements(),
           InfoOf(tensor->type).name);
    std::vector<float> divisors(static_cast<size_t>(head_dim_ / 2));
    Dequantize(tensor->type, tensor->bytes.data(), tensor->Elements(), divisors.data());
    return divisors;
  }

  // rope_freqs.weight holds the divisors themselves. They are accepted where they are those of the llama3 rope type,
  // which a config can name; the factor is the largest of them.
  Json Llama3() const {
    if (!Find(kFreqs)) return nullptr;
    const std::vector<float> divisors = Divisors(kFreqs);
    const double factor = ShortestDecimal(*std::ranges::max_element(divisors));
    // What Llama 3.1 was made for, where the file says nothing.
    const int64_t original = view_.SizeOr(kOriginal, 8192);
    // Every Llama 3 model has these low and high frequency factors.
    const RopeScaling llama3{.kind = kLlama3,
                             .factor = factor,
                             .low_freq_factor = 1,
                             .high_freq_factor = 4,
                             .original_max_position = original};
    for (int64_t i = 0; i < head_dim_ / 2; ++i) {
      const double expected = Llama3Divisor(llama3, theta_, head_dim_, i);
      const double found = divisors[static_cast<size_t>(i)];
      // The divisors were computed in float32; 1e-4 is far above its error and far below any other rope's difference.
      if (!(std::abs(found - expected) <= 1e-4 * expected))
        Fail(Where(kFreqs), "value {} at {} is not that of the llama3 rope type with factor {}, which is {}", found, i,
             factor, expected);
    }
    if (factor == 1) return nullptr;
    return {{"rope_type", "llama3"},
            {"factor", factor},
            {"low_freq_factor", 1.0},
            {"high_freq_factor", 4.0},
            {"original_max_position_embeddings", original}};
  }

  // llama.cpp multiplies cosine and sine by what the factor gives (with yarn_log_multiplier: by its ratio to that with
  // DeepSeek's mscale_all_dim) and by attn_factor.
  Json Yarn(double factor) const {
    Json json = {{"rope_type", "yarn"}, {"factor", factor}, {"original_max_position_embeddings", original_}};
    for (const char* key : {"beta_fast", "beta_slow"})
      if (view_.Find(fmt::format("rope.scaling.yarn_{}", key)))
        json[key] = view_.NumberOr(fmt::format("rope.scaling.yarn_{}", key), 0);
    const double multiplier = view_.NumberOr("rope.scaling.yarn_log_multiplier", 0);
    double attention = YarnAttention(factor);
    if (multiplier != 0) attention /= YarnAttention(factor, multiplier);
    attention = ShortestDecimal(static_cast<float>(attention * attention_));
    if (multiplier != 0 || attention_ != 1) json["attention_factor"] = attention;
    // For other architectures llama.cpp takes these two from the file; a negative one is not set.
    if (const double mixed = view_.NumberOr("rope.scaling.yarn_ext_factor", 1); mixed >= 0 && mixed != 1)
      Fail(view_.At("rope.scaling.yarn_ext_factor").Where(), "is {}, which a config cannot say; 1 can", mixed);
    if (const double other = view_.NumberOr("rope.scaling.yarn_attn_factor", attention); !Same(other, attention))
      Fail(view_.At("rope.scaling.yarn_attn_factor").Where(),
           "is {}, but llama.cpp passes over it in this architecture and multiplies by {}", other, attention);
    return json;
  }

  Json LongRope(double factor) const {
    if (factor != 1)
      Fail(view_.At("rope.scaling.factor").Where(), "is {} beside rope type \"longrope\", expected none", factor);
    const auto list = [&](std::string_view name) {
      Json values = Json::array();
      for (float divisor : Divisors(name)) values.push_back(ShortestDecimal(divisor));
      return values;
    };
    return {{"rope_type", "longrope"},
            {"short_factor", list(kShort)},
            {"long_factor", list(kLong)},
            {"attention_factor", attention_},
            {"original_max_position_embeddings", original_}};
  }

  const GgufArchitecture& view_;
  int64_t head_dim_;
  double theta_;
  int64_t original_;
  double attention_ = view_.NumberOr(kAttention, 1);
};

std::vector<float> Floats(const std::vector<double>& values) { return {values.begin(), values.end()}; }

// llama.cpp has tensors of divisors for llama alone, and would not load a file of another architecture with them.
void RequireTensors(const ModelConfig& config, const std::string& where, const std::string& prefix) {
  if (prefix != "llama.")
    Fail(where, "rope type \"{}\" needs a tensor which llama.cpp has for llama, not for {}",
         Name(config.rope_scaling.kind), prefix.substr(0, prefix.size() - 1));
}

}  // namespace

void AddGgufRope(const GgufArchitecture& architecture, int64_t head_dim, Json* json) {
  const double theta = architecture.NumberOr("rope.freq_base", 10000);
  const auto context = (*json)["max_position_embeddings"].get<int64_t>();
  (*json)["rope_theta"] = theta;
  (*json)["rope_scaling"] = RopeReader(architecture, head_dim, theta, context).Read();
}

bool IsGgufRopeTensor(std::string_view name) { return name == kFreqs || name == kShort || name == kLong; }

void PutGgufRope(const ModelConfig& config, const std::string& config_path, const std::string& prefix, GgufWriter* out,
                 std::vector<std::string>* notes) {
  const RopeScaling& scaling = config.rope_scaling;
  const std::string where = config_path + ": rope_scaling", scaled = prefix + "rope.scaling.";
  const auto number = [&](const char* key, double value) { out->Key(scaled + key, static_cast<float>(value)); };
  const auto attention = [&](double factor) {
    if (!Same(factor, 1)) number("attn_factor", factor);
  };
  out->Key(prefix + "rope.freq_base", static_cast<float>(config.rope_theta));
  out->Key(prefix + "rope.dimension_count", config.head_dim);
  if (scaling.kind == kYarn || scaling.kind == kLongRope || (scaling.kind == kLinear && scaling.factor != 1))
    out->Key(scaled + "type", std::string(Name(scaling.kind)));
  switch (scaling.kind) {
    case kNone:
      return;
    case kDynamic:
      Fail(where, "rope type \"dynamic\" depends on the length of a text, which GGUF cannot say");
    case kLinear:
      if (scaling.factor != 1) number("factor", scaling.factor);
      return;
    case kLlama3:
      RequireTensors(config, where, prefix);
      if (scaling.low_freq_factor != 1 || scaling.high_freq_factor != 4)
        Fail(where, "has low_freq_factor {} and high_freq_factor {}; 1 and 4 could be exported",
             scaling.low_freq_factor, scaling.high_freq_factor);
      break;
    case kYarn:
      if (!scaling.truncate) Fail(where, "has truncate false, which GGUF cannot say");
      number("factor", scaling.factor);
      attention(scaling.attention_factor / YarnAttention(scaling.factor));
      if (scaling.beta_fast != 32 || scaling.beta_slow != 1) {
        number("yarn_beta_fast", scaling.beta_fast);
        number("yarn_beta_slow", scaling.beta_slow);
        notes->push_back(
            fmt::format("llama.cpp passes over beta_fast {} and beta_slow {} in this architecture: it takes "
                        "32 and 1, and turns some pairs of a head by another angle",
                        scaling.beta_fast, scaling.beta_slow));
      }
      break;
    case kLongRope:
      RequireTensors(config, where, prefix);
      attention(scaling.attention_factor);
      notes->push_back(
          fmt::format("llama.cpp takes long_factor for all texts when its context has room for more than {} "
                      "tokens, and short_factor for all when it has not",
                      scaling.original_max_position));
      break;
  }
  out->Key(scaled + "original_context_length", scaling.original_max_position);
}

std::vector<GgufRopeTensor> GgufRopeTensors(const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.kind == kLongRope)
    return {{std::string(kLong), Floats(scaling.long_factor)}, {std::string(kShort), Floats(scaling.short_factor)}};
  if (scaling.kind != kLlama3) return {};
  std::vector<float> divisors;
  for (int64_t i = 0; i < config.head_dim / 2; ++i)
    divisors.push_back(static_cast<float>(Llama3Divisor(scaling, config.rope_theta, config.head_dim, i)));
  return {{std::string(kFreqs), std::move(divisors)}};
}

}  // namespace ecld
