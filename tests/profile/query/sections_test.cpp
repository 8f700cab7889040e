#include "profile/query/sections.h"

#include <gtest/gtest.h>

#include "tests/profile/small_profile.h"
#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

TEST(Sections, SayWhatTheManifestSays) {
  DeviceProfile profile = SmallProfile();
  const Variant variant = VariantOf(profile);
  EXPECT_EQ(variant.id, "tiny-w4");
  EXPECT_EQ(variant.arch.layers, 2);
  EXPECT_EQ(variant.arch.intermediate, (std::vector<int64_t>{16, 12}));
  EXPECT_TRUE(variant.arch.tied);
  EXPECT_EQ(variant.quant.bits, 4);
  EXPECT_EQ(variant.quant.group, 32);
  EXPECT_EQ(variant.quant.symmetric, true);
  EXPECT_EQ(variant.file_B, 1000);
  EXPECT_FALSE(variant.storage_B);
  EXPECT_FALSE(variant.base_model);
  const Device device = DeviceOf(profile);
  EXPECT_EQ(device.name, "Board");
  EXPECT_EQ(device.role, "ue");
  EXPECT_EQ(device.mem_Bps, 2.5e9);
  EXPECT_FALSE(device.fp16_flops) << "null is not known";
  EXPECT_FALSE(device.threads);
  profile.variant["storage_B"] = 1200;
  profile.device["threads"] = 4;
  EXPECT_EQ(VariantOf(profile).storage_B, 1200);
  EXPECT_EQ(DeviceOf(profile).threads, 4);
}

TEST(Sections, WhatIsMissingIsNamed) {
  DeviceProfile profile = SmallProfile();
  profile.variant["arch"].erase("vocab");
  EXPECT_ERROR(VariantOf(profile), "profile.json: variant.arch: key \"vocab\" is missing");
  profile.device["tdp_W"] = "much";
  EXPECT_ERROR(DeviceOf(profile), "profile.json: device.tdp_W: expected a number");
}

}  // namespace
}  // namespace ecld
