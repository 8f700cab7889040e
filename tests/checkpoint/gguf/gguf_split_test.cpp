#include <gtest/gtest.h>

#include <fmt/format.h>

#include "checkpoint/gguf/gguf_file.h"
#include "checkpoint/gguf/gguf_import.h"
#include "core/files.h"
#include "tests/checkpoint/gguf/tiny_gguf.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr int kParts = 3;

// The tiny model in three parts: all keys and a part of the tensors in the first.
class GgufSplit : public testing::Test {
 protected:
  GgufSplit() {
    for (int i = 0; i < kParts; ++i) parts_[i] = Part(i, kParts);
  }

  GgufBuilder Part(int number, int count, int tensor_count = -1) const {
    const GgufBuilder whole = TinyGguf().File();
    GgufBuilder part = number == 0 ? TinyGguf().Metadata() : GgufBuilder();
    part.Key("split.no", static_cast<uint16_t>(number)).Key("split.count", static_cast<uint16_t>(count));
    part.Key("split.tensors.count", tensor_count >= 0 ? tensor_count : static_cast<int32_t>(whole.tensors.size()));
    for (size_t i = 0; i < whole.tensors.size(); ++i) {
      const auto& info = whole.tensors[i];
      if (static_cast<int>(i % kParts) == number)
        TinyGguf::Indexed(part, info.name, {info.shape.rbegin(), info.shape.rend()});
    }
    return part;
  }

  fs::path Path(int number) const { return directory_ / fmt::format("m-{:05}-of-00003.gguf", number + 1); }
  void Write() const {
    for (int i = 0; i < kParts; ++i) parts_[i].Write(Path(i));
  }

  TempDir directory_;
  std::array<GgufBuilder, kParts> parts_;
};

TEST_F(GgufSplit, AnyPartOpensTheWholeAsIfItWereOneFile) {
  Write();
  ImportGguf(TinyGguf().File().Write(directory_ / "whole.gguf"), directory_ / "expected");
  for (int i = 0; i < kParts; ++i) {
    ImportGguf(Path(i), directory_ / "found");
    for (const char* name : {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"})
      EXPECT_EQ(ReadFile(directory_ / "found" / name), ReadFile(directory_ / "expected" / name)) << name;
  }
  uint64_t bytes = 0;
  for (int i = 0; i < kParts; ++i) bytes += fs::file_size(Path(i));
  EXPECT_EQ(GgufFile(Path(1)).FileBytes(), bytes);
}

TEST_F(GgufSplit, AFileOfOnePartNeedsNoName) {
  for (uint16_t count : {0, 1}) {
    GgufBuilder file = TinyGguf().File();
    file.Key("split.count", count).Key("split.no", uint16_t{0});
    EXPECT_EQ(GgufFile(file.Write(directory_ / "m.gguf")).contents().tensors.size(), TinyGguf().File().tensors.size());
  }
  GgufBuilder odd = TinyGguf().File();
  odd.Key("split.no", uint16_t{1});
  EXPECT_ERROR(GgufFile(odd.Write(directory_ / "m.gguf")), "split.no: counts from 0 to 0, found 1");
  GgufBuilder many = TinyGguf().File();
  many.Key("split.count", int32_t{-1});
  EXPECT_ERROR(GgufFile(many.Write(directory_ / "m.gguf")), "split.count: expected 0 to 99999 parts, found -1");
}

TEST_F(GgufSplit, SaysWhichPartIsMissing) {
  Write();
  fs::remove(Path(1));
  EXPECT_ERROR(GgufFile(Path(2)), "m-00002-of-00003.gguf: is missing: part 2 of the 3 of a split file");
  fs::rename(Path(0), directory_ / "renamed.gguf");
  EXPECT_ERROR(GgufFile(directory_ / "renamed.gguf"),
               "is part 1 of 3 of a split file; the others are found when its name ends in -00001-of-00003.gguf");
}

TEST_F(GgufSplit, RefusesPartsThatDoNotFit) {
  Write();
  Part(0, 3).Write(Path(2));
  EXPECT_ERROR(GgufFile(Path(0)), "m-00003-of-00003.gguf: says that it is part 1, where part 3 should be");
  Part(2, 4).Write(Path(2));
  EXPECT_ERROR(GgufFile(Path(0)), "m-00003-of-00003.gguf: is of a file of 4 parts, not of 3");
  Part(2, 3, 5).Write(Path(2));
  EXPECT_ERROR(GgufFile(Path(0)), "split.tensors.count: is not what");
  GgufBuilder foreign = Part(2, 3);
  foreign.Key("general.architecture", std::string("qwen2")).Write(Path(2));
  EXPECT_ERROR(GgufFile(Path(0)), "general.architecture: is not what");
  GgufBuilder twice = Part(2, 3);
  TinyGguf::Indexed(twice, parts_[0].tensors[0].name, {1}).Write(Path(2));
  EXPECT_ERROR(GgufFile(Path(0)), "tensor token_embd.weight is in another part, too");
  GgufBuilder fewer = Part(2, 3);
  fewer.tensors.pop_back();
  fewer.Write(Path(2));
  EXPECT_ERROR(GgufFile(Path(0)), "split.tensors.count: is 20, but the 3 parts hold 19 tensors");
  Write();
  GgufBuilder unnumbered = TinyGguf().File();
  unnumbered.Key("split.count", uint16_t{3}).Write(directory_ / "m.gguf");
  EXPECT_ERROR(GgufFile(directory_ / "m.gguf"), "m.gguf: has no key split.no");
}

}  // namespace
}  // namespace ecld
