#include "cli/device/runtime_flags.h"

#include <CLI/CLI.hpp>
#include <iterator>
#include <string>
#include <vector>

#include "core/error.h"

namespace ecld {
namespace {

// A flag with the names of an enumeration as its values.
template <class Value, class Target>
void AddChoice(CLI::App& verb, const char* flag, const std::string& help, const std::vector<Value>& values,
               Target* target) {
  std::vector<std::string> names;
  for (Value value : values) names.emplace_back(Name(value));
  verb.add_option_function<std::string>(
          flag,
          [values, target](const std::string& name) {
            for (Value value : values)
              if (Name(value) == name) *target = value;
          },
          help)
      ->check(CLI::IsMember(names));
}

}  // namespace

void AddRuntimeFlags(CLI::App& verb, RuntimeOptions* options) {
  AddChoice<Precision>(
      verb, "--precision",
      "exact: float32 throughout; fast: as on a device (default: " + std::string(Name(options->precision)) + ")",
      {Precision::kExact, Precision::kFast}, &options->precision);
  AddChoice<KvType>(verb, "--kv", "how the cache is stored (default: f32 when exact, f16 when fast)",
                    std::vector(std::begin(kKvTypes), std::end(kKvTypes)), &options->kv);
}

void AddChatTemplateFlag(CLI::App& verb, std::string* file) {
  verb.add_option("--chat-template", *file, "a Jinja template, or JSON with one, in place of the checkpoint's own")
      ->type_name("FILE");
}

GpuOptions DeviceFlags::Options(const RuntimeOptions& runtime) const {
  GpuOptions options = gpu;
  options.kv = runtime.kv.value_or(options.kv);
  return options;
}

void AddDeviceFlags(CLI::App& verb, DeviceFlags* flags) {
  verb.add_option_function<std::string>(
          "--device", [flags](const std::string& name) { flags->cuda = name == "cuda"; },
          "where to run: cpu, or cuda for a GPU (default: cpu)")
      ->check(CLI::IsMember({"cpu", "cuda"}));
  verb.add_option_function<std::string>(
          "--activations",
          [flags](const std::string& name) { flags->gpu.type = name == "bf16" ? DType::kBF16 : DType::kF16; },
          "what a GPU's products take: f16, or bf16 for models that overflow it (default: f16)")
      ->check(CLI::IsMember({"f16", "bf16"}));
}

std::unique_ptr<StepMachine> OpenDevice(const DeviceFlags& flags, const RuntimeOptions& runtime,
                                        const std::string& kernel) {
  if (!flags.cuda) return nullptr;
  if (runtime.precision == Precision::kExact)
    Fail("--precision", "exact is the processor's; with --device cuda what products take is of 16 bits");
  if (!kernel.empty()) Fail("--kernel", "names the processor's products; --device cuda has its own");
  return OpenCudaMachine();
}

}  // namespace ecld
