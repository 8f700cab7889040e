// Rope parameters in config.json.
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "checkpoint/config.h"
#include "checkpoint/known_fields.h"
#include "checkpoint/rope.h"
#include "core/error.h"

namespace ecld {
namespace {

using Kind = RopeScaling::Kind;
using enum RopeScaling::Kind;

constexpr std::array<std::pair<Kind, std::string_view>, 6> kKinds = {{{kNone, "default"},
                                                                      {kLinear, "linear"},
                                                                      {kLlama3, "llama3"},
                                                                      {kYarn, "yarn"},
                                                                      {kDynamic, "dynamic"},
                                                                      {kLongRope, "longrope"}}};

// Every field that an object of rope parameters may have, with the kinds that it means something to.
struct Field {
  std::string_view name;
  std::vector<Kind> kinds;
};
const std::vector<Field>& Fields() {
  static const std::vector<Kind> all = {kNone, kLinear, kLlama3, kYarn, kDynamic, kLongRope};
  static const std::vector<Field> fields = {
      {"rope_type", all},
      {"type", all},
      {"rope_theta", all},
      {"partial_rotary_factor", all},
      {"factor", {kLinear, kLlama3, kYarn, kDynamic, kLongRope}},
      {"original_max_position_embeddings", {kLlama3, kYarn, kLongRope}},
      {"attention_factor", {kYarn, kLongRope}},
      {"beta_fast", {kYarn}},
      {"beta_slow", {kYarn}},
      {"mscale", {kYarn}},
      {"mscale_all_dim", {kYarn}},
      {"truncate", {kYarn}},
      {"low_freq_factor", {kLlama3}},
      {"high_freq_factor", {kLlama3}},
      {"short_factor", {kLongRope}},
      {"long_factor", {kLongRope}},
      {"finetuned", {}},  // how a model was made: nobody computes with it
  };
  return fields;
}

double Positive(const JsonView& value) {
  const double number = value.Number();
  if (!(number > 0) || number > 1e30) Fail(value.Where(), "expected a positive number, found {}", number);
  return number;
}

// The type of an object: "rope_type", or its older name.
std::string TypeOf(const JsonView& object) {
  return object.StringOr("rope_type", object.StringOr("type", Name(kNone)));
}

// Reads the object that holds, with what stands beside it.
class RopeReader {
 public:
  // object: none where the config has none, or an empty one.
  RopeReader(const JsonView& json, std::optional<JsonView> object, ModelConfig* config)
      : json_(json), object_(std::move(object)), config_(*config) {}

  void Read() {
    config_.rope_theta = Theta();
    CheckPartial();
    if (!object_) return;
    scaling_.kind = ReadKind();
    CheckFields();
    if (scaling_.kind != kNone) ReadFactors();
    if (scaling_.kind == kLlama3) ReadLlama3();
    if (scaling_.kind == kYarn) ReadYarn();
    if (scaling_.kind == kLongRope) ReadLongRope();
    if (scaling_.kind == kDynamic && config_.head_dim == 2)
      Fail(object_->Where(), "rope type \"dynamic\" needs a head_dim above 2");
    config_.rope_scaling = std::move(scaling_);
  }

 private:
  bool Has(const char* key) const { return object_ && object_->Has(key); }
  double NumberOr(const char* key, double fallback) const { return Has(key) ? Positive(object_->At(key)) : fallback; }
  // Transformers takes 0 for "not given".
  double OptionalNumber(const char* key, double fallback) const {
    return object_->NumberOr(key, 0) == 0 ? fallback : Positive(object_->At(key));
  }

  template <class... Args>
  void Note(fmt::format_string<Args...> format, Args&&... args) {
    config_.notes.push_back(fmt::format(format, std::forward<Args>(args)...) + ", as in transformers");
  }

  double Theta() {
    const bool outside = json_.Has("rope_theta");
    const double beside = outside ? Positive(json_.At("rope_theta")) : config_.rope_theta;
    const double theta = NumberOr("rope_theta", beside);
    if (outside && theta != beside)
      Note("rope_theta is {} inside the rope's object and {} beside it: the one inside holds", theta, beside);
    return theta;
  }

  void CheckPartial() const {
    const JsonView& from = Has("partial_rotary_factor") ? *object_ : json_;
    const double partial = from.NumberOr("partial_rotary_factor", 1);
    if (partial != 1) Fail(from.Where(), "partial_rotary_factor {} is not supported; expected 1", partial);
  }

  Kind ReadKind() {
    const std::string type = TypeOf(*object_);
    if (const std::string older = object_->StringOr("type", type); older != type)
      Note("rope_type is \"{}\" and type \"{}\": rope_type holds", type, older);
    std::vector<std::string> known;
    for (const auto& [kind, name] : kKinds) {
      if (name == type) return kind;
      known.emplace_back(name);
    }
    Fail(object_->Where(), "rope type \"{}\" is not supported{}", type, DidYouMean(type, known));
  }

  void CheckFields() {
    std::vector<std::string> names, idle;
    for (const Field& field : Fields()) names.emplace_back(field.name);
    for (const std::string& key : object_->Keys()) {
      if (!object_->Has(key)) continue;  // null says nothing
      const std::string where = object_->At(key).Where();
      if (key == "mrope_section") Fail(where, "rotation by positions in an image is not supported");
      if (key == "full_attention" || key == "sliding_attention")
        Fail(where, "rope parameters for each kind of layer are not supported");
      const auto field = std::ranges::find(Fields(), key, &Field::name);
      if (field == Fields().end()) Fail(where, "is not a known field{}", DidYouMean(key, names));
      if (std::ranges::find(field->kinds, scaling_.kind) == field->kinds.end()) idle.push_back(key);
    }
    if (!idle.empty())
      Note("{} {} without effect with rope type \"{}\"", fmt::join(idle, ", "), idle.size() > 1 ? "are" : "is",
           Name(scaling_.kind));
  }

  void ReadFactors() {
    scaling_.original_max_position = config_.max_position;
    if (scaling_.kind == kLlama3 || scaling_.kind == kYarn || scaling_.kind == kLongRope)
      scaling_.original_max_position = OriginalLength();
    const double reached =
        static_cast<double>(config_.max_position) / static_cast<double>(scaling_.original_max_position);
    // What may be left out, and what may only be null, is what transformers has it so.
    if (scaling_.kind != kLongRope) object_->At("factor");
    const bool computed = scaling_.kind == kLongRope || scaling_.kind == kYarn;
    scaling_.factor = computed ? NumberOr("factor", reached) : Positive(object_->At("factor"));
  }

  // Beside the object it has priority; without any, the model was not made for longer texts than it says.
  int64_t OriginalLength() {
    const char* key = "original_max_position_embeddings";
    const auto read = [&](const JsonView& from) {
      const int64_t length = from.At(key).Int();
      if (length < 1 || length >= (int64_t{1} << 31))
        Fail(from.At(key).Where(), "expected 1 to 2^31 - 1, found {}", length);
      return length;
    };
    const int64_t inside = Has(key) ? read(*object_) : config_.max_position;
    if (!json_.Has(key)) return inside;
    const int64_t beside = read(json_);
    if (Has(key) && inside != beside)
      Note("{} is {} inside the rope's object and {} beside it: the one beside it holds", key, inside, beside);
    return beside;
  }

  void ReadLlama3() {
    scaling_.low_freq_factor = Positive(object_->At("low_freq_factor"));
    scaling_.high_freq_factor = Positive(object_->At("high_freq_factor"));
    if (scaling_.high_freq_factor <= scaling_.low_freq_factor)
      Fail(object_->Where(), "high_freq_factor {} must exceed low_freq_factor {}", scaling_.high_freq_factor,
           scaling_.low_freq_factor);
  }

  // Peng et al. 2023, arXiv 2309.00071, equations 17 to 22. The two scales are DeepSeek's.
  void ReadYarn() {
    if (config_.rope_theta <= 1)
      Fail(object_->Where(), "rope type \"yarn\" needs a rope_theta above 1, found {}", config_.rope_theta);
    scaling_.beta_fast = OptionalNumber("beta_fast", 32);
    scaling_.beta_slow = OptionalNumber("beta_slow", 1);
    scaling_.truncate = object_->BoolOr("truncate", !object_->json().contains("truncate"));  // null counts as false
    const double scale = OptionalNumber("mscale", 0), scale_all = OptionalNumber("mscale_all_dim", 0);
    const bool both = scale > 0 && scale_all > 0;
    const double factor = scaling_.factor;
    ReadAttention(both ? YarnAttention(factor, scale) / YarnAttention(factor, scale_all) : YarnAttention(factor));
  }

  void ReadLongRope() {
    const auto divisors = [&](const char* key) {
      const JsonView list = object_->At(key);
      const auto pairs = static_cast<size_t>(config_.head_dim / 2);
      if (list.Size() != pairs) Fail(list.Where(), "has {} values, expected {}, half of head_dim", list.Size(), pairs);
      std::vector<double> values;
      for (size_t i = 0; i < pairs; ++i) values.push_back(Positive(list.At(i)));
      return values;
    };
    scaling_.short_factor = divisors("short_factor");
    scaling_.long_factor = divisors("long_factor");
    const double log_length = std::log(static_cast<double>(scaling_.original_max_position));
    if (scaling_.factor > 1 && log_length == 0 && !Has("attention_factor"))
      Fail(object_->Where(), "an original length of 1 token gives no attention_factor");
    ReadAttention(scaling_.factor > 1 ? std::sqrt(1 + std::log(scaling_.factor) / log_length) : 1);
  }

  void ReadAttention(double computed) { scaling_.attention_factor = NumberOr("attention_factor", computed); }

  const JsonView& json_;
  std::optional<JsonView> object_;
  ModelConfig& config_;
  RopeScaling scaling_;
};

std::optional<JsonView> ObjectAt(const JsonView& json, const char* key) {
  if (!json.Has(key) || json.At(key).Keys().empty()) return std::nullopt;
  return json.At(key);
}

// What an object says, spelt in one way. theta: where it has none.
nlohmann::json Said(const JsonView& object, double theta) {
  nlohmann::json said = {{"rope_type", TypeOf(object)}, {"rope_theta", theta}};
  for (const std::string& key : object.Keys())
    if (object.Has(key) && key != "type") said[key] = object.At(key).json();
  return said;
}

// For layers with a window and for the others: rope_parameters has an object for each; without one, rope_theta and
// rope_scaling are those of the others, and rope_local_base_freq is the theta of layers with a window.
void ReadRopeByLayer(const JsonView& json, ModelConfig* config) {
  constexpr const char *kFull = "full_attention", *kSliding = "sliding_attention";
  std::optional<JsonView> full, sliding;
  if (const auto parameters = ObjectAt(json, "rope_parameters")) {
    RequireKeys(*parameters, {kFull, kSliding});
    full = ObjectAt(*parameters, kFull);
    sliding = ObjectAt(*parameters, kSliding);
  }
  const std::optional<JsonView> scaling = ObjectAt(json, "rope_scaling");
  Json both = full ? full->json() : Json::object();
  if (scaling) both.update(scaling->json());  // which holds where both say something, as in transformers
  const JsonView merged(both, scaling ? scaling->Where() : full ? full->Where() : json.Where());
  RopeReader(json, full || scaling ? std::optional(merged) : std::nullopt, config).Read();
  double& theta = *config->window_rope_theta;
  if (json.Has("rope_local_base_freq")) theta = Positive(json.At("rope_local_base_freq"));
  if (!sliding) return;
  RequireKeys(*sliding, {"rope_type", "type", "rope_theta"});
  if (const std::string type = TypeOf(*sliding); type != Name(kNone))
    Fail(sliding->Where(), "rope type \"{}\" of layers with a window is not supported; expected default", type);
  if (sliding->Has("rope_theta")) theta = Positive(sliding->At("rope_theta"));
}

}  // namespace

std::string_view Name(RopeScaling::Kind kind) { return kKinds[static_cast<size_t>(kind)].second; }

void ReadRope(const JsonView& json, ModelConfig* config) {
  if (config->window_rope_theta) return ReadRopeByLayer(json, config);
  std::optional<JsonView> object = ObjectAt(json, "rope_scaling");
  const std::optional<JsonView> other = ObjectAt(json, object ? "rope_parameters" : "rope_scaling");
  if (!object) object = ObjectAt(json, "rope_parameters");
  RopeReader(json, object, config).Read();
  if (!other || Said(*other, config->rope_theta) == Said(*object, config->rope_theta)) return;
  const double theta = other->NumberOr("rope_theta", config->rope_theta);
  config->notes.push_back(fmt::format(
      "rope_scaling ({}) and rope_parameters ({}) differ: rope_scaling holds, rope_parameters is not looked at{}, as "
      "in "
      "transformers",
      TypeOf(*object), TypeOf(*other),
      theta == config->rope_theta ? "" : fmt::format(", and rope_theta is {}, not {}", config->rope_theta, theta)));
}

void WriteRope(const ModelConfig& config, Json* json) {
  if (json->contains("rope_parameters")) return;
  if (!json->contains("rope_theta")) (*json)["rope_theta"] = config.rope_theta;
  if (config.window_rope_theta && !json->contains("rope_local_base_freq"))
    (*json)["rope_local_base_freq"] = *config.window_rope_theta;
  if (json->contains("rope_scaling")) return;
  Json& out = (*json)["rope_scaling"];
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.kind == kNone) return;
  out = {{"rope_type", Name(scaling.kind)}, {"factor", scaling.factor}};
  if (scaling.kind == kLlama3) {
    out["low_freq_factor"] = scaling.low_freq_factor;
    out["high_freq_factor"] = scaling.high_freq_factor;
  }
  if (scaling.kind == kYarn) {
    out["beta_fast"] = scaling.beta_fast;
    out["beta_slow"] = scaling.beta_slow;
    out["truncate"] = scaling.truncate;
  }
  if (scaling.kind == kLongRope) {
    out["short_factor"] = scaling.short_factor;
    out["long_factor"] = scaling.long_factor;
  }
  if (scaling.kind == kYarn || scaling.kind == kLongRope) out["attention_factor"] = scaling.attention_factor;
  if (scaling.kind != kLinear && scaling.kind != kDynamic)
    out["original_max_position_embeddings"] = scaling.original_max_position;
}

}  // namespace ecld
