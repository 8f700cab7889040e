#pragma once
// The verbs of the workbench half: what makes checkpoints, and what learns. One file each.

#include <functional>
#include <vector>

#include "cli/device/program.h"

namespace ecld {

std::function<void()> AddImport(CLI::App& verb);
std::function<void()> AddCompress(CLI::App& verb);
std::function<void()> AddSearch(CLI::App& verb);
std::function<void()> AddExport(CLI::App& verb);
std::function<void()> AddValidate(CLI::App& verb);
std::function<void()> AddPasses(CLI::App& verb);

std::function<void()> AddOffloadWithTraining(CLI::App& verb);  // what the device half has of it, and train

// One that has the name of a verb of the device half stands in its place.
std::vector<Verb> WorkbenchVerbs();

}  // namespace ecld
