#pragma once
// Energy counters as the kernel shows them, in a folder of their own.

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "core/files.h"
#include "tests/testing/temp_dir.h"

namespace ecld {

class Powercap : public testing::Test {
 protected:
  void Zone(const std::string& directory, const std::string& name, uint64_t count, uint64_t range = 1'000'000'000) {
    std::filesystem::create_directories(Tree() / directory);
    WriteFileAtomically(Tree() / directory / "name", name + "\n");
    WriteFileAtomically(Tree() / directory / "max_energy_range_uj", std::to_string(range) + "\n");
    Count(directory, count);
  }
  void Count(const std::string& directory, uint64_t count) {
    WriteFileAtomically(Tree() / directory / "energy_uj", std::to_string(count) + "\n");
  }
  std::filesystem::path Tree() const { return temp_ / "powercap"; }

  TempDir temp_;
};

}  // namespace ecld
