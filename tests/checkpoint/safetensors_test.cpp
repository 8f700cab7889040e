#include "checkpoint/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

// A file from its header text and a number of data bytes.
std::vector<std::byte> File(const std::string& header, size_t data_bytes) {
  std::vector<std::byte> bytes(8 + header.size() + data_bytes);
  uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, 8);
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  return bytes;
}

struct Parsed {
  std::map<std::string, TensorView, std::less<>> tensors;
  std::map<std::string, std::string> metadata;
};

Parsed Parse(const std::vector<std::byte>& bytes) {
  Parsed parsed;
  ParseSafetensors(bytes, "m.safetensors", &parsed.tensors, &parsed.metadata);
  return parsed;
}

TEST(Safetensors, ReadsTensorsAndMetadata) {
  auto bytes = File(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                    R"("b":{"dtype":"BF16","shape":[],"data_offsets":[24,26]},)"
                    R"("empty":{"dtype":"F16","shape":[0,4],"data_offsets":[26,26]}}   )",
                    26);
  Parsed parsed = Parse(bytes);
  EXPECT_EQ(parsed.metadata.at("format"), "pt");
  EXPECT_EQ(parsed.tensors.size(), 3u);
  EXPECT_EQ(parsed.tensors.at("a").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(parsed.tensors.at("a").Elements(), 6);
  EXPECT_EQ(parsed.tensors.at("b").bytes.data(), bytes.data() + bytes.size() - 2);
  EXPECT_EQ(parsed.tensors.at("empty").bytes.size(), 0u);
}

struct BadFile {
  const char* name;
  const char* header;
  size_t data_bytes;
  const char* message;
};

class SafetensorsBad : public testing::TestWithParam<BadFile> {};

TEST_P(SafetensorsBad, IsRefusedWithItsReason) {
  EXPECT_ERROR(Parse(File(GetParam().header, GetParam().data_bytes)), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Files, SafetensorsBad,
    testing::Values(
        BadFile{"truncated", R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", 15,
                "a.data_offsets: ends at byte 16, but the file holds 15 data bytes (truncated?)"},
        BadFile{
            "overlap",
            R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
            12, "tensors \"a\" and \"b\" overlap at byte 4"},
        BadFile{
            "inside",
            R"({"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]},"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"c":{"dtype":"U8","shape":[1],"data_offsets":[5,6]}})",
            9, "overlap"},
        BadFile{"backwards", R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}})", 16, "is not a range"},
        BadFile{"negative", R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[-16,0]}})", 16, "is not a range"},
        BadFile{"wrong_size", R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,16]}})", 16,
                "holds 16 bytes, shape and type need 12"},
        BadFile{"overflow",
                R"({"a":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904],"data_offsets":[0,16]}})", 16,
                "shape overflows 64 bits"},
        BadFile{"negative_shape", R"({"a":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}})", 16,
                "a size cannot be negative"},
        BadFile{"unknown_type", R"({"a":{"dtype":"F31","shape":[4],"data_offsets":[0,16]}})", 16,
                "a.dtype: unknown type \"F31\""},
        BadFile{"three_offsets", R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,8,16]}})", 16,
                "expected [begin, end], found 3 numbers"},
        BadFile{"no_shape", R"({"a":{"dtype":"F32","data_offsets":[0,16]}})", 16, "key \"shape\" is missing"},
        BadFile{"not_json", "{\"a\":", 0, "header: not valid JSON"}, BadFile{"array", "[1]", 0, "expected an object"},
        BadFile{"metadata", R"({"__metadata__":{"a":1}})", 0, "__metadata__.a: expected a string"}),
    [](const auto& test) { return test.param.name; });

TEST(Safetensors, RefusesImpossibleLengths) {
  EXPECT_ERROR(Parse({}), "too short");
  auto bytes = File("{}", 0);
  bytes[5] = std::byte{1};
  EXPECT_ERROR(Parse(bytes), "exceeds the file");
}

}  // namespace
}  // namespace ecld
