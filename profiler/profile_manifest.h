#pragma once
// The sections of profile.json that say what was profiled, where and how: device, variant, provenance.

#include "core/json.h"
#include "core/threads.h"
#include "measure/device.h"
#include "profile/score/catalogue.h"
#include "profiler/profile_device.h"
#include "runtime/model.h"

namespace ecld {

// This machine; the rate at which it reads memory is measured.
Json DeviceSection(const ProfileOptions& options, const DeviceFacts& facts, ThreadPool& pool);
// A device of the catalogue, every figure copied from there.
Json DeviceSection(const CatalogueDevice& device);
Json VariantSection(const ProfileOptions& options, const RuntimeModel& model);
Json ProvenanceSection(const RuntimeOptions& runtime);

}  // namespace ecld
