#pragma once
// The verbs of the workbench half: what makes checkpoints. One file each.

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

std::vector<Verb> WorkbenchVerbs();

}  // namespace ecld
