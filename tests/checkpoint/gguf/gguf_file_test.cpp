#include "checkpoint/gguf/gguf_file.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/testing/expect_error.h"
#include "tests/testing/gguf_builder.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

GgufContents Parse(const std::string& bytes) { return ParseGguf(std::as_bytes(std::span(bytes)), "m.gguf"); }

// Values view into the bytes, so those must outlive them.
struct Parsed {
  explicit Parsed(const GgufBuilder& builder) : bytes(builder.Bytes()), contents(Parse(bytes)) {}
  std::string bytes;
  GgufContents contents;
};

std::string Zeros(size_t count) { return std::string(count, '\0'); }

TEST(GgufFile, ReadsScalarsOfEveryType) {
  GgufBuilder builder;
  builder.Key("u8", uint8_t{200}).Key("i8", int8_t{-100}).Key("u16", uint16_t{60000}).Key("i16", int16_t{-30000});
  builder.Key("u32", uint32_t{4000000000u}).Key("i32", int32_t{-2000000000}).Key("u64", uint64_t{1} << 62);
  builder.Key("i64", -(int64_t{1} << 62)).Key("f32", 1.5f).Key("f64", 1e300).Key("yes", true).Key("no", false);
  builder.Key("text", std::string("naïve"));
  Parsed file(builder);
  const GgufContents& gguf = file.contents;
  EXPECT_EQ(gguf.At("u8").Int(), 200);
  EXPECT_EQ(gguf.At("i8").Int(), -100);
  EXPECT_EQ(gguf.At("u16").Int(), 60000);
  EXPECT_EQ(gguf.At("i16").Int(), -30000);
  EXPECT_EQ(gguf.At("u32").Int(), 4000000000);
  EXPECT_EQ(gguf.At("i32").Int(), -2000000000);
  EXPECT_EQ(gguf.At("u64").Int(), int64_t{1} << 62);
  EXPECT_EQ(gguf.At("i64").Int(), -(int64_t{1} << 62));
  EXPECT_EQ(gguf.At("f32").Number(), 1.5);
  EXPECT_EQ(gguf.At("f64").Number(), 1e300);
  EXPECT_EQ(gguf.At("u8").Number(), 200);
  EXPECT_TRUE(gguf.At("yes").Bool());
  EXPECT_FALSE(gguf.At("no").Bool());
  EXPECT_EQ(gguf.At("text").String(), "naïve");
  EXPECT_EQ(gguf.Find("absent"), nullptr);
  EXPECT_ERROR(gguf.At("absent"), "m.gguf: has no key absent");
}

TEST(GgufFile, ReadsArrays) {
  GgufBuilder builder;
  builder.Key("ints", std::vector<int32_t>{1, -2, 3}).Key("floats", std::vector<float>{0.5f, -1});
  builder.Key("texts", std::vector<std::string>{"", "ab", std::string("\0x", 2)}).Key("none", std::vector<uint8_t>{});
  builder.RawKey("flags", 9).RawValue(uint32_t{7}).RawValue(uint64_t{2}).RawValue(uint8_t{1}).RawValue(uint8_t{0});
  Parsed file(builder);
  EXPECT_EQ(file.contents.At("ints").Ints(), (std::vector<int64_t>{1, -2, 3}));
  EXPECT_EQ(file.contents.At("ints").Floats(), (std::vector<float>{1, -2, 3}));
  EXPECT_EQ(file.contents.At("flags").Floats(), (std::vector<float>{1, 0}));
  EXPECT_EQ(file.contents.At("floats").Floats(), (std::vector<float>{0.5f, -1}));
  EXPECT_EQ(file.contents.At("texts").Strings(), (std::vector<std::string_view>{"", "ab", std::string_view("\0x", 2)}));
  EXPECT_TRUE(file.contents.At("none").Ints().empty());
}

TEST(GgufFile, RefusesAValueOfAnotherKind) {
  GgufBuilder builder;
  builder.Key("text", std::string("x")).Key("list", std::vector<int32_t>{1, 2}).Key("flag", uint8_t{1});
  builder.Key("large", std::numeric_limits<uint64_t>::max()).RawKey("odd", 7).RawValue(uint8_t{2});
  Parsed file(builder);
  const GgufContents& gguf = file.contents;
  EXPECT_ERROR(gguf.At("text").Int(), "m.gguf: text: expected an integer, found a string");
  EXPECT_ERROR(gguf.At("list").Int(), "m.gguf: list: expected an integer, found an array of 2 integers");
  EXPECT_ERROR(gguf.At("list").Strings(), "expected an array of strings, found an array of 2 integers");
  EXPECT_ERROR(gguf.At("text").Ints(), "expected an array of integers, found a string");
  EXPECT_ERROR(gguf.At("text").Floats(), "expected an array of numbers, found a string");
  EXPECT_ERROR(gguf.At("text").Number(), "expected a number, found a string");
  EXPECT_ERROR(gguf.At("flag").Bool(), "expected a boolean, found an integer");
  EXPECT_ERROR(gguf.At("flag").String(), "expected a string, found an integer");
  EXPECT_ERROR(gguf.At("large").Int(), "18446744073709551615 is larger than any count can be");
  EXPECT_ERROR(gguf.At("odd").Bool(), "a boolean is stored as 0 or 1, found 2");
}

TEST(GgufFile, ReadsTensorsOfVersions2And3) {
  for (uint32_t version : {2u, 3u}) {
    GgufBuilder builder;
    builder.version = version;
    builder.Floats("a", {2, 3}, {1, 2, 3, 4, 5, 6}).Tensor("b", 8, {32, 2}, Zeros(68));
    Parsed file(builder);
    const GgufTensor& a = file.contents.tensors.at("a");
    EXPECT_EQ(a.shape, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(a.bytes.size(), 24u);
    float last;
    std::memcpy(&last, a.bytes.data() + 20, 4);
    EXPECT_EQ(last, 6);
    const GgufTensor& b = file.contents.tensors.at("b");
    EXPECT_EQ(b.type, GgmlType::kQ8_0);
    EXPECT_EQ(b.Elements(), 64);
    EXPECT_EQ(b.bytes.size(), 68u);
  }
}

TEST(GgufFile, HonoursAlignment) {
  GgufBuilder builder;
  builder.alignment = 64;
  builder.Key("general.alignment", uint32_t{64}).Floats("a", {1}, {1}).Floats("b", {1}, {2});
  Parsed file(builder);
  EXPECT_EQ(file.contents.tensors.at("b").bytes.data() - file.contents.tensors.at("a").bytes.data(), 64);
  for (uint32_t bad : {0u, 48u, 0xffffffffu}) {
    EXPECT_ERROR(Parse(GgufBuilder().Key("general.alignment", bad).Floats("a", {1}, {1}).Bytes()),
                 "general.alignment: must be a power of two, found");
  }
}

TEST(GgufFile, RefusesAnotherFile) {
  GgufBuilder builder;
  builder.magic = "GGML";
  EXPECT_ERROR(Parse(builder.Bytes()), "m.gguf: is not a GGUF file: it does not begin with \"GGUF\"");
  builder.magic = "GGUF";
  builder.version = 1;
  EXPECT_ERROR(Parse(builder.Bytes()), "GGUF version 1 is not supported; 2 and 3 are");
  builder.version = 0x03000000;
  EXPECT_ERROR(Parse(builder.Bytes()), "is a big-endian GGUF file");
  EXPECT_ERROR(Parse(""), "m.gguf: is empty: a GGUF file begins with \"GGUF\"");
  EXPECT_ERROR(Parse("GG"), "the magic needs 4 bytes at offset 0, the file has 2 left");
  EXPECT_ERROR(Parse("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
               "does not begin with \"GGUF\"; it is a Git LFS pointer that stands for the file");
  EXPECT_ERROR(Parse("<!DOCTYPE html>"), "it seems to be a web page, saved in place of the file");
  EXPECT_ERROR(Parse("tjgg" + Zeros(8)), "it is of a GGML format from before GGUF");
  EXPECT_ERROR(Parse("PK\3\4" + Zeros(8)), "it is a ZIP archive, as PyTorch writes");
}

TEST(GgufFile, RefusesEveryTruncation) {
  GgufBuilder builder;
  builder.Key("k", std::string("value")).Key("list", std::vector<std::string>{"a", "bc"}).Floats("t", {2}, {1, 2});
  std::string whole = builder.Bytes();
  EXPECT_EQ(Parse(whole).tensors.size(), 1u);
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THROW(Parse(whole.substr(0, size)), Error) << size << " of " << whole.size() << " bytes";
  }
  EXPECT_ERROR(Parse(whole.substr(0, whole.size() - 1)),
               "m.gguf: tensor t: needs 8 bytes at 0 of the data, which has 7: the file is cut short or damaged");
}

TEST(GgufFile, RefusesAbsurdCounts) {
  GgufBuilder keys, tensors;
  keys.extra_keys = uint64_t{1} << 60;
  EXPECT_ERROR(Parse(keys.Bytes()), "m.gguf: 1152921504606846976 keys cannot fit in the 0 bytes left");
  tensors.extra_tensors = uint64_t{1} << 60;
  EXPECT_ERROR(Parse(tensors.Bytes()), "1152921504606846976 tensors cannot fit");
  constexpr uint64_t kHuge = std::numeric_limits<uint64_t>::max();
  EXPECT_ERROR(Parse(GgufBuilder().RawKey("list", 9).RawValue(uint32_t{10}).RawValue(kHuge).Bytes()),
               "m.gguf: list: 18446744073709551615 values cannot fit");
  EXPECT_ERROR(Parse(GgufBuilder().RawKey("list", 9).RawValue(uint32_t{8}).RawValue(kHuge).Bytes()),
               "18446744073709551615 strings cannot fit");
  EXPECT_ERROR(Parse(GgufBuilder().RawKey("text", 8).RawValue(kHuge).Bytes()),
               "m.gguf: text needs 18446744073709551615 bytes at offset");
}

TEST(GgufFile, RefusesBadKeys) {
  EXPECT_ERROR(Parse(GgufBuilder().RawKey("k", 13).RawValue(uint64_t{0}).Bytes()),
               "m.gguf: k: value type 13 is unknown");
  EXPECT_ERROR(Parse(GgufBuilder().RawKey("k", 9).RawValue(uint32_t{9}).RawValue(uint64_t{0}).Bytes()),
               "m.gguf: k: is an array of arrays");
  EXPECT_ERROR(Parse(GgufBuilder().Key("k", true).Key("k", true).Bytes()), "m.gguf: k: is there twice");
}

TEST(GgufFile, RefusesBadTensors) {
  auto one = [](uint32_t type, std::vector<uint64_t> shape) {
    return GgufBuilder().Tensor("t", type, std::move(shape), Zeros(256)).Bytes();
  };
  EXPECT_ERROR(Parse(one(16, {256})), "m.gguf: tensor t: is stored as IQ2_XXS, which is not supported; F32, F16, BF16");
  EXPECT_ERROR(Parse(one(4, {32})), "is stored as Q4_2, which is not supported");
  EXPECT_ERROR(Parse(one(99, {32})), "is stored as type 99, which is not supported");
  EXPECT_ERROR(Parse(one(8, {33})), "has rows of 33 elements, which Q8_0 stores in blocks of 32");
  EXPECT_ERROR(Parse(one(12, {128})), "has rows of 128 elements, which Q4_K stores in blocks of 256");
  EXPECT_ERROR(Parse(one(0, {})), "has 0 dimensions; 1 to 4 are possible");
  EXPECT_ERROR(Parse(one(0, {1, 1, 1, 1, 1})), "has 5 dimensions");
  EXPECT_ERROR(Parse(one(0, {4, 0})), "has a dimension of size 0");
  EXPECT_ERROR(Parse(one(0, {uint64_t{1} << 63})), "has a dimension of size 9223372036854775808");
  EXPECT_ERROR(Parse(one(0, {uint64_t{1} << 32, uint64_t{1} << 32})),
               "is larger than any file: [4294967296, 4294967296]");
  EXPECT_ERROR(Parse(one(0, {65})), "needs 260 bytes at 0 of the data, which has 256");
}

TEST(GgufFile, RefusesMisplacedTensors) {
  GgufBuilder two;
  two.Floats("a", {16}, std::vector<float>(16)).Floats("b", {16}, std::vector<float>(16));
  GgufBuilder overlapping = two, misaligned = two, beyond = two, twice = two;
  overlapping.tensors[1].offset = 32;
  EXPECT_ERROR(Parse(overlapping.Bytes()), "m.gguf: tensor b: overlaps tensor a");
  misaligned.tensors[1].offset = 68;
  EXPECT_ERROR(Parse(misaligned.Bytes()), "tensor b: begins at 68, which is not a multiple of 32");
  beyond.tensors[1].offset = ~uint64_t{31};
  EXPECT_ERROR(Parse(beyond.Bytes()), "tensor b: needs 64 bytes at 18446744073709551584");
  twice.tensors[1].name = "a";
  EXPECT_ERROR(Parse(twice.Bytes()), "tensor a is there twice");
}

TEST(GgufFile, OpensFromDisk) {
  TempDir directory;
  auto path = GgufBuilder().Key("k", uint8_t{7}).Floats("t", {1}, {3}).Write(directory / "m.gguf");
  GgufFile file(path);
  EXPECT_EQ(file.contents().At("k").Int(), 7);
  EXPECT_ERROR(GgufFile(directory / "absent.gguf"), "absent.gguf: cannot open");
}

}  // namespace
}  // namespace ecld
