#include "cli/device/runtime_flags.h"

#include <CLI/CLI.hpp>
#include <iterator>
#include <string>
#include <vector>

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

}  // namespace ecld
