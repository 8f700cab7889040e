#include "offload/learned_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/error.h"
#include "core/json.h"

namespace ecld::offload {
namespace {

constexpr size_t kMostParts = 1024;  // variants or servers

std::vector<float> Floats(const NamedArray& array) { return {array.values.begin(), array.values.end()}; }

}  // namespace

PolicyNetwork::PolicyNetwork(const NamedArrays& arrays, size_t observed, size_t outputs, const std::string& file) {
  const auto inputs = static_cast<int64_t>(observed);
  mean_ = Floats(ArrayIn(arrays, "observed.mean", {inputs}, file));
  scale_ = Floats(ArrayIn(arrays, "observed.scale", {inputs}, file));
  for (size_t width = observed; layers_.empty() || arrays.contains(fmt::format("policy.{}.weight", layers_.size()));
       width = layers_.back().outputs) {
    const std::string name = fmt::format("policy.{}", layers_.size());
    const NamedArray& bias = ArrayIn(arrays, name + ".bias", {}, file);
    const auto rows = static_cast<int64_t>(bias.values.size());
    const NamedArray& weight = ArrayIn(arrays, name + ".weight", {rows, static_cast<int64_t>(width)}, file);
    layers_.push_back({width, bias.values.size(), Floats(weight), Floats(bias)});
  }
  if (layers_.back().outputs != outputs)
    Fail(file, "the last layer has {} outputs, {} would be right", layers_.back().outputs, outputs);
}

std::vector<float> PolicyNetwork::Run(std::span<const float> observation) const {
  std::vector<float> x(observation.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] = Scaled(observation[i], mean_[i], scale_[i]);
  for (size_t l = 0; l < layers_.size(); ++l) {
    const Layer& layer = layers_[l];
    std::vector<float> y = layer.bias;
    for (size_t row = 0; row < layer.outputs; ++row) {
      for (size_t i = 0; i < layer.inputs; ++i) y[row] += layer.weight[row * layer.inputs + i] * x[i];
      if (l + 1 < layers_.size()) y[row] = std::tanh(y[row]);
    }
    x = std::move(y);
  }
  return x;
}

void WriteLearnedPolicy(const std::filesystem::path& folder, DecisionShape shape, const NamedArrays& arrays,
                        const Json& about) {
  std::filesystem::create_directories(folder);
  WriteArrays(folder / "policy.safetensors", arrays);
  Json content = about;
  content["shape"] = {{"variants", shape.variants}, {"servers", shape.servers}};
  WriteJsonFile(folder / "policy.json", NewDocument(kPolicyDocument, content));
}

Policy ReadLearnedPolicy(const std::filesystem::path& folder) {
  const Json json = ReadJsonFile(folder / "policy.json");
  const JsonView view(json, (folder / "policy.json").string());
  RequireKind(view, kPolicyDocument);
  const auto count = [&](const char* key, int64_t least) {
    const JsonView value = view.At("shape").At(key);
    if (value.Int() < least || value.Int() > static_cast<int64_t>(kMostParts))
      Fail(value.Where(), "is {}, {} to {} would be right", value.Int(), least, kMostParts);
    return static_cast<size_t>(value.Int());
  };
  const DecisionShape shape{.variants = count("variants", 1), .servers = count("servers", 0)};
  const std::filesystem::path file = folder / "policy.safetensors";
  const auto network =
      std::make_shared<const PolicyNetwork>(ReadArrays(file), shape.observed(), shape.choices(), file.string());
  const auto decide = [network, shape](std::span<const Pending> pending, const State& state,
                                       std::span<Decision> decisions) {
    std::vector<int64_t> joined(shape.servers, 0);
    std::vector<float> observation(shape.observed());
    std::vector<uint8_t> allowed(shape.choices());
    for (size_t i = 0; i < pending.size(); ++i) {
      ObserveRequest(pending[i], state, joined, shape, observation, allowed);
      const std::vector<float> logits = network->Run(observation);
      decisions[i] = DecisionOf(BestChoice(logits, allowed), shape);
      if (decisions[i].place != kLocal) ++joined[static_cast<size_t>(decisions[i].place)];
    }
  };
  return {.name = "learned", .summary = "as it was learned", .decide = decide, .shape = shape};
}

}  // namespace ecld::offload
