#pragma once
// A pass of whose output the data decide more than plans know: sizes of tensors. It is asked for them before anything
// is written.

#include "model/pass.h"

namespace ecld {

class SettlingPass : public Pass {
 public:
  // The config of the output: what is planned, of as many bytes. A resumed run asks again; what was found out before is
  // in context.rows.
  virtual ModelConfig Settle(const Checkpoint& in, const ModelConfig& planned, PassContext& context) const = 0;
};

// What any pass writes.
inline ModelConfig SettledConfig(const Pass& pass, const Checkpoint& in, const ModelConfig& planned,
                                 PassContext& context) {
  const auto* settles = dynamic_cast<const SettlingPass*>(&pass);
  return settles ? settles->Settle(in, planned, context) : planned;
}

// Keys of config.json by which `found` differs from what was planned; null: it has none.
inline Json DecidedKeys(const ModelConfig& planned, const ModelConfig& found) {
  const Json before = ToJson(planned), after = ToJson(found);
  Json decided = Json::object();
  for (const auto& [key, value] : after.items())
    if (!before.contains(key) || before.at(key) != value) decided[key] = value;
  for (const auto& [key, value] : before.items())
    if (!after.contains(key)) decided[key] = nullptr;
  return decided;
}

}  // namespace ecld
