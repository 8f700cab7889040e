#include "profile/score/catalogue.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

constexpr const char* kPhone = R"(version: 1
devices:
  - id: phone
    name: A phone
    kind: phone
    mem_GB: 8
    mem_GBps: 51.2
    power_W: 6
    energy: {static_W: 1.5, J_per_B: 1e-10, J_per_op: 2e-12, error_frac: 0.2}
    sources: [a page]
)";

std::string With(const std::string& from, const std::string& to) {
  std::string text = kPhone;
  return text.replace(text.find(from), from.size(), to);
}

TEST(Catalogue, ReadsWhatIsThereAndLeavesOutWhatIsNot) {
  const DeviceCatalogue catalogue = ParseCatalogue(kPhone, "mine.yaml");
  const CatalogueDevice& device = catalogue.Find("phone");
  EXPECT_EQ(device.mem_B, 8e9);
  EXPECT_EQ(device.mem_Bps, 51.2e9);
  EXPECT_EQ(device.power_W, 6);
  EXPECT_FALSE(device.fp16_flops);
  EXPECT_EQ(device.energy->J_per_op, 2e-12);
  EXPECT_EQ(device.sources, std::vector<std::string>{"a page"});
  EXPECT_ERROR(catalogue.Find("phones"), "mine.yaml: has no device \"phones\" (did you mean phone?)");
}

TEST(Catalogue, MistakesAreSaidWithTheirLine) {
  EXPECT_ERROR(ParseCatalogue(With("mem_GB: 8", "mem_GB: 0"), "c.yaml"), "c.yaml:6: devices[0].mem_GB: found 0");
  EXPECT_ERROR(ParseCatalogue(With("    mem_GB: 8\n", ""), "c.yaml"), "\"mem_GB\" is missing");
  EXPECT_ERROR(ParseCatalogue(With("id: phone", "id: ''"), "c.yaml"), "\"id\" is missing");
  EXPECT_ERROR(ParseCatalogue(With("kind: phone", "kind: watch"), "c.yaml"), "kind: \"watch\" is not a choice here");
  EXPECT_ERROR(ParseCatalogue(With("    sources: [a page]\n", ""), "c.yaml"), "\"sources\" is missing");
  EXPECT_ERROR(ParseCatalogue(With("mem_GBps", "mem_Gbps"), "c.yaml"), "mem_Gbps");
  EXPECT_ERROR(
      ParseCatalogue(With("{static_W: 1.5, J_per_B: 1e-10, J_per_op: 2e-12, error_frac: 0.2}", "{}"), "c.yaml"),
      "energy: needs a coefficient above 0");
  EXPECT_ERROR(ParseCatalogue("version: 1\ndevices: []\n", "c.yaml"), "names no device");
  std::string twice = kPhone;
  twice += twice.substr(twice.find("  - id"));
  EXPECT_ERROR(ParseCatalogue(twice, "c.yaml"), "a second device is called \"phone\"");
}

TEST(Catalogue, TheOneThatShipsHasEveryKindOfDeviceWithItsSources) {
  const DeviceCatalogue catalogue = ReadCatalogue("");
  for (const char* kind : {"phone", "board", "laptop", "accelerator"})
    EXPECT_NE(std::ranges::find(catalogue.devices, kind, &CatalogueDevice::kind), catalogue.devices.end()) << kind;
  EXPECT_ERROR(ReadCatalogue("/nowhere/devices.yaml"), "devices.yaml");
}

}  // namespace
}  // namespace ecld
