#pragma once
// The flags --precision and --kv of every verb that runs a checkpoint, those of the verbs that run one on a GPU, and
// --chat-template.

#include <memory>
#include <string>

#include "runtime/gpu_decoder.h"
#include "runtime/options.h"

namespace CLI {
class App;
}

namespace ecld {

// The default of --precision is what options holds.
void AddRuntimeFlags(CLI::App& verb, RuntimeOptions* options);

// --chat-template FILE, of every verb that renders conversations.
void AddChatTemplateFlag(CLI::App& verb, std::string* file);

// --device, --activations.
struct DeviceFlags {
  bool cuda = false;
  GpuOptions gpu;

  // With the cache that runtime names, if it does.
  GpuOptions Options(const RuntimeOptions& runtime) const;
};
void AddDeviceFlags(CLI::App& verb, DeviceFlags* flags);

// The GPU, or null where the processor is meant. kernel: what --kernel names. THROWS Error: there is no GPU, or flags
// that only the processor has.
std::unique_ptr<StepMachine> OpenDevice(const DeviceFlags& flags, const RuntimeOptions& runtime,
                                        const std::string& kernel);

}  // namespace ecld
