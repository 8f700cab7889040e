#pragma once
// The verbs of the device half: what works on a checkpoint without Torch. One file each.

#include <functional>
#include <vector>

#include "cli/device/program.h"

namespace ecld {

std::function<void()> AddRun(CLI::App& verb);
std::function<void()> AddServe(CLI::App& verb);
std::function<void()> AddEval(CLI::App& verb);
std::function<void()> AddProfile(CLI::App& verb);
std::function<void()> AddProfileExport(CLI::App& verb);  // below profile
std::function<void()> AddScores(CLI::App& verb);
std::function<void()> AddReport(CLI::App& verb);
std::function<void()> AddOffload(CLI::App& verb);
std::function<void()> AddBench(CLI::App& verb);
std::function<void()> AddBenchKernels(CLI::App& verb);  // below bench
std::function<void()> AddInspect(CLI::App& verb);

std::vector<Verb> DeviceVerbs();

}  // namespace ecld
