#include "bindings/c/ecld_offload.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "core/error.h"
#include "offload/offload_environment.h"

using ecld::offload::Frame;

struct ecld_offload {
  ecld::offload::World world;
  std::optional<ecld::offload::EnvironmentBatch> batch;
  bool begun = false;
};

namespace {

constexpr size_t kMostEnvironments = 65'536;

thread_local std::string last_error = "";

// What the call makes of it; nothing crosses the door but values.
template <class Result, class Call>
Result Guarded(Result failed, const Call& call) {
  try {
    return call();
  } catch (const std::exception& error) {
    last_error = error.what();
  } catch (...) {
    last_error = "an unknown error";
  }
  return failed;
}

template <class T>
void Copy(const std::vector<T>& from, T* to) {
  std::ranges::copy(from, to);
}

void RequireAllowed(const ecld_offload& handle, const int64_t* actions) {
  const size_t choices = handle.batch->spaces().all_choices();
  for (size_t i = 0; i < handle.batch->count(); ++i) {
    const auto choice = static_cast<uint64_t>(actions[i]);
    if (choice >= choices || !handle.batch->frame().allowed[i * choices + choice])
      ecld::Fail("ecld_offload_step", "environment {}: choice {} is not one that may be made", i, actions[i]);
  }
}

}  // namespace

extern "C" {

uint32_t ecld_offload_version(void) { return ECLD_OFFLOAD_VERSION; }

ecld_offload* ecld_offload_create(const char* scenario_file, const char* const* overrides, size_t override_count,
                                  size_t environments) {
  return Guarded<ecld_offload*>(nullptr, [&] {
    if (!scenario_file || environments == 0 || environments > kMostEnvironments)
      ecld::Fail("ecld_offload_create", "needs a scenario and 1 to {} environments", kMostEnvironments);
    std::vector<std::string> set;
    for (size_t i = 0; i < override_count; ++i) set.emplace_back(overrides[i]);
    auto handle = std::make_unique<ecld_offload>();
    handle->world = ecld::offload::LoadWorld(ecld::offload::ReadScenario(scenario_file, set));
    handle->batch.emplace(ecld::offload::OffloadEnvironments(handle->world), environments);
    return handle.release();
  });
}

void ecld_offload_close(ecld_offload* handle) { delete handle; }

size_t ecld_offload_observed(const ecld_offload* handle) { return handle->batch->spaces().observed; }
size_t ecld_offload_choices(const ecld_offload* handle) { return handle->batch->spaces().all_choices(); }
size_t ecld_offload_limits(const ecld_offload* handle) { return handle->batch->spaces().limits.size(); }
const char* ecld_offload_limit(const ecld_offload* handle, size_t index) {
  const auto& limits = handle->batch->spaces().limits;
  return index < limits.size() ? limits[index].c_str() : nullptr;
}

int ecld_offload_reset(ecld_offload* handle, uint64_t seed, float* observations, uint8_t* allowed) {
  return Guarded(0, [&] {
    handle->begun = false;
    handle->batch->Reset(seed);
    handle->begun = true;
    Copy(handle->batch->frame().observations, observations);
    Copy(handle->batch->frame().allowed, allowed);
    return 1;
  });
}

int ecld_offload_step(ecld_offload* handle, const int64_t* actions, float* observations, uint8_t* allowed,
                      float* rewards, float* costs, uint8_t* terminated, uint8_t* truncated, float* last_observations) {
  return Guarded(0, [&] {
    if (!handle->begun) ecld::Fail("ecld_offload_step", "comes before ecld_offload_reset");
    RequireAllowed(*handle, actions);
    std::vector<float> taken(actions, actions + handle->batch->count());
    handle->begun = false;  // an error within leaves nothing to go on from
    handle->batch->Step(taken);
    handle->begun = true;
    const Frame& frame = handle->batch->frame();
    Copy(frame.observations, observations);
    Copy(frame.allowed, allowed);
    Copy(frame.rewards, rewards);
    Copy(frame.costs, costs);
    Copy(frame.terminated, terminated);
    Copy(frame.truncated, truncated);
    Copy(frame.last_observations, last_observations);
    return 1;
  });
}

const char* ecld_offload_error(void) { return last_error.c_str(); }

}  // extern "C"
