// ecld: everything. Compresses checkpoints by recipes, and holds the verbs of ecld-device too.

#include <algorithm>
#include <string_view>

#include "cli/device/verbs.h"
#include "cli/workbench/verbs.h"

int main(int argc, char** argv) {
  std::vector<ecld::Verb> verbs = ecld::WorkbenchVerbs();
  for (const ecld::Verb& verb : ecld::DeviceVerbs()) {
    const auto same = [&](const ecld::Verb& other) { return std::string_view(other.name) == verb.name; };
    if (std::ranges::none_of(verbs, same)) verbs.push_back(verb);
  }
  return ecld::RunProgram("ecld", "Compress language models for edge devices: prune, distil, quantize, measure.", verbs,
                          argc, argv);
}
