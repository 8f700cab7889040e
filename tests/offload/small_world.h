#pragma once
// Scenarios over profiles whose times are the same at every length and batch, so that what comes out can be reckoned by
// hand; the tests of this room spoil them.

#include <fmt/format.h>

#include <string>
#include <vector>

#include "offload/world.h"
#include "tests/profile/small_profile.h"
#include "tests/testing/temp_dir.h"

namespace ecld::offload {

struct MadeItem {
  bool right = true, hallucinated = false;
  int64_t tok = 10;  // below 0: none, as in tasks with choices
  double uncertainty = 0.5;
};

struct MadeModel {
  std::string id;
  double prompt_ms = 10, step_ms = 1;
  double prompt_J = -1, step_J = -1;  // below 0: not measured
  std::vector<MadeItem> items = {};
  std::string task = "quiz";
};

// A grid of lengths 1 and 4096, batches 1 and 64; a cache of 128 bytes for each token.
inline DeviceProfile ProfileOf(const MadeModel& model) {
  DeviceProfile profile = SmallProfile();
  profile.tables.clear();
  profile.variant["id"] = model.id;
  profile.variant["weights_sha256"] = "weights of " + model.id;
  Table phase(FindTableSchema("phase", "test"));
  for (const int64_t batch : {1, 64})
    for (const int64_t prompt_tok : {1, 4096}) {
      AddPhase(phase, batch, prompt_tok, model.prompt_ms);
      phase.Set("tpot_ms", model.step_ms);
      if (model.prompt_J >= 0) phase.Set("prefill_J", model.prompt_J);
      if (model.step_J >= 0) phase.Set("decode_J_per_tok", model.step_J);
    }
  profile.tables.emplace("phase", ProfileTable{TableStatus::kComplete, phase});
  Table items(FindTableSchema("uncertainty_items", "test"));
  for (size_t i = 0; i < model.items.size(); ++i) {
    AddItem(items, fmt::format("{}/{}", model.task, i), model.items[i].uncertainty);
    items.Set("a_first", model.items[i].uncertainty);
    items.Set("correct", int64_t{model.items[i].right});
    items.Set("halluc", int64_t{model.items[i].hallucinated});
    if (model.items[i].tok >= 0) items.Set("gen_tok", model.items[i].tok);
  }
  profile.Add(items);
  return profile;
}

// A device class "phone" with the first model, a server "edge" with the second.
class SmallWorld {
 public:
  SmallWorld(const MadeModel& device, const MadeModel& server) {
    WriteProfile(dir_ / "device", ProfileOf(device));
    WriteProfile(dir_ / "server", ProfileOf(server));
  }

  std::string Text() const {
    return fmt::format(
        "version: 1\n"
        "name: small\n"
        "horizon_s: 100\n"
        "replications: 3\n"
        "devices:\n"
        "  - name: phone\n"
        "    count: 2\n"
        "    memory_MB: 1\n"
        "    variants: [{{profile: {0}/device}}]\n"
        "servers:\n"
        "  - name: edge\n"
        "    profile: {0}/server\n"
        "    batch: 4\n"
        "    cache_MB: 1\n"
        "network: {{kind: constant, up_Mbps: 1, down_Mbps: 10, rtt_ms: 20}}\n"
        "requests: {{kind: poisson, rate_per_s: 2, prompt_tok: 100, answer_tok: 10}}\n",
        dir_.path().string());
  }

  World Load(const std::vector<std::string>& overrides = {}) const {
    return LoadWorld(ParseScenario(Text(), "small.yaml", overrides));
  }

  const TempDir& dir() const { return dir_; }

 private:
  TempDir dir_;
};

// Items of which the device is right about the share that it is sure of, and the server about nearly all.
inline std::vector<MadeItem> DeviceItems(size_t n) {
  std::vector<MadeItem> items;
  for (size_t i = 0; i < n; ++i) {
    const double uncertainty = static_cast<double>(i) / static_cast<double>(n);
    const bool right = i * 7 % n >= i;  // the less, the higher i
    items.push_back(
        {.right = right, .hallucinated = !right, .tok = 5 + static_cast<int64_t>(i % 7), .uncertainty = uncertainty});
  }
  return items;
}
inline std::vector<MadeItem> ServerItems(size_t n) {
  std::vector<MadeItem> items;
  for (size_t i = 0; i < n; ++i)
    items.push_back({.right = i % 10 != 0, .hallucinated = i % 10 == 0, .tok = 8, .uncertainty = 0.1});
  return items;
}

inline const MadeModel kPhoneModel{.id = "tiny-w4", .prompt_ms = 50, .step_ms = 10, .prompt_J = 0.5, .step_J = 0.1};
inline const MadeModel kEdgeModel{.id = "tiny", .prompt_ms = 5, .step_ms = 1};

inline SmallWorld WorldWithItems(size_t n = 100) {
  MadeModel phone = kPhoneModel, edge = kEdgeModel;
  phone.items = DeviceItems(n);
  edge.items = ServerItems(n);
  return SmallWorld(phone, edge);
}
inline const std::vector<std::string> kWithItems = {"items.tasks=[quiz]"};

}  // namespace ecld::offload
