#pragma once
// The flags --precision and --kv of every verb that runs a checkpoint.

#include "runtime/options.h"

namespace CLI {
class App;
}

namespace ecld {

// The default of --precision is what options holds.
void AddRuntimeFlags(CLI::App& verb, RuntimeOptions* options);

}  // namespace ecld
