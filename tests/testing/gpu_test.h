#pragma once
// A test on the GPU of this machine. Without one it is skipped, or fails where ECLD_REQUIRE_GPU is 1.

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "kernels/cuda/device.h"

namespace ecld {

class GpuTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    const auto device = FindCudaDevice(&why);
    if (device) {
      device_ = *device;
      return;
    }
    const char* required = std::getenv("ECLD_REQUIRE_GPU");
    if (required != nullptr && std::string(required) == "1") FAIL() << "ECLD_REQUIRE_GPU is 1, but: " << why;
    GTEST_SKIP() << "no GPU: " << why;
  }

  CudaDevice device_;
};

}  // namespace ecld
