// The file beside a checkpoint that holds what another program's formats became.

#include "checkpoint/foreign/translation.h"

#include <gtest/gtest.h>

#include <fstream>

#include "checkpoint/export/export.h"
#include "core/files.h"
#include "tests/checkpoint/foreign_checkpoint.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

class TranslationOf : public testing::Test {
 protected:
  TranslationOf() {
    const std::vector<uint8_t> ones(ForeignCheckpoint::kOut * ForeignCheckpoint::kIn, 0x38);  // 1.0
    checkpoint_.Put("weight", DType::kF8E4M3, {ForeignCheckpoint::kOut, ForeignCheckpoint::kIn}, ones);
    checkpoint_.Put("weight_scale_inv", DType::kF32, {1, 1}, std::vector<float>{0.25f});
    checkpoint_.config["quantization_config"] = {{"quant_method", "fp8"}, {"weight_block_size", {128, 128}}};
    directory_ = checkpoint_.Write();
    file_ = Translation::FileOf(directory_, Unpacking::kDense);
  }

  bool ReadsRight() const {
    return Near(ForeignCheckpoint::Weights(Checkpoint::Open(directory_)),
                std::vector<float>(ForeignCheckpoint::kOut * ForeignCheckpoint::kIn, 0.25f), Exact());
  }

  ForeignCheckpoint checkpoint_;
  fs::path directory_, file_;
};

TEST_F(TranslationOf, IsMadeWhenAWeightIsAskedForAndNotBefore) {
  const Checkpoint opened = Checkpoint::Open(directory_);
  EXPECT_EQ(opened.Stored(ForeignCheckpoint::Name("weight")).dtype, DType::kF32);
  EXPECT_GT(opened.WeightBytes(), 0u);
  EXPECT_FALSE(fs::exists(file_));
  EXPECT_FALSE(opened.translation()->FileIsThere());
  const std::vector<std::string> notes = opened.translation()->Notes();
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(opened.translation()->unapplied().size(), 1u);
  EXPECT_NE(notes[0].find("quantized already (fp8)"), std::string::npos) << notes[0];
  EXPECT_NE(notes[0].find("1 dense F32"), std::string::npos) << notes[0];
  EXPECT_TRUE(ReadsRight());
  EXPECT_EQ(fs::file_size(file_), opened.translation()->FileBytes());
}

TEST_F(TranslationOf, TheSourceKeepsItsBytesAndItsIdentity) {
  const std::string weights = ReadFile(directory_ / "model.safetensors"),
                    config = ReadTextFile(directory_ / "config.json");
  const std::string identity = Checkpoint::Open(directory_).QuickIdentity();
  EXPECT_TRUE(ReadsRight());
  EXPECT_EQ(ReadFile(directory_ / "model.safetensors"), weights);
  EXPECT_EQ(ReadTextFile(directory_ / "config.json"), config);
  EXPECT_EQ(Checkpoint::Open(directory_).QuickIdentity(), identity);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 3) << "and nothing but the one file is there";
}

TEST_F(TranslationOf, ADamagedFileIsMadeAgain) {
  EXPECT_TRUE(ReadsRight());
  {
    std::fstream file(file_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(5000);
    file.put('\x11');
  }
  EXPECT_TRUE(ReadsRight());
  fs::resize_file(file_, 4097);
  EXPECT_TRUE(ReadsRight());
}

TEST_F(TranslationOf, WhereItCannotBeWrittenATemporaryFileServes) {
  fs::path blocked = file_;
  blocked += ".tmp";
  fs::create_directory(blocked);
  EXPECT_TRUE(ReadsRight());
  EXPECT_FALSE(fs::exists(file_));
}

TEST_F(TranslationOf, WhatIsWrongWithTheSourceLeavesNoFile) {
  checkpoint_.Put("weight_scale_inv", DType::kF32, {1, 1}, std::vector<float>{INFINITY});
  const Checkpoint opened = checkpoint_.Open();
  EXPECT_ERROR(ForeignCheckpoint::Weights(opened), "weight_scale_inv\" holds inf at element 0");
  EXPECT_ERROR(ForeignCheckpoint::Weights(opened), "weight_scale_inv\" holds inf at element 0");
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 2);
}

TEST_F(TranslationOf, AnExportHoldsWhatWasReadAndNotTheSourcesFiles) {
  const int64_t out = ForeignCheckpoint::kOut, in = ForeignCheckpoint::kIn;
  checkpoint_.Put("weight", DType::kI8, {out, in}, std::vector<int8_t>(static_cast<size_t>(out * in), -3));
  checkpoint_.Remove("weight_scale_inv");
  checkpoint_.Put("weight_scale", DType::kF32, {out, 1}, std::vector<float>(static_cast<size_t>(out), 0.5f));
  checkpoint_.config["quantization_config"] = {
      {"quant_method", "compressed-tensors"},
      {"format", "int-quantized"},
      {"config_groups", {{"a", {{"targets", {ForeignCheckpoint::kModule}}, {"weights", {{"strategy", "channel"}}}}}}}};
  checkpoint_.Write();
  TempDir result;
  ExportRequest request;
  request.checkpoint = directory_;
  request.out = result.path() / "out";
  request.target = ExportTarget::kCompressedTensors;
  Export(request);
  const Checkpoint written = Checkpoint::Open(request.out);
  EXPECT_FALSE(written.translation());
  EXPECT_EQ(ForeignCheckpoint::Spec(written).format, (PackedFormat{8, 0, true}));
  EXPECT_TRUE(
      Near(ForeignCheckpoint::Weights(written), std::vector<float>(static_cast<size_t>(out * in), -1.5f), Exact()));
}

TEST_F(TranslationOf, AConfigThatIsWrittenAgainSaysNothingOfTheOldFormat) {
  checkpoint_.config["compression_config"] = checkpoint_.config["quantization_config"];
  checkpoint_.config.erase("quantization_config");
  const Checkpoint opened = checkpoint_.Open();
  ASSERT_TRUE(opened.translation());
  const Json written = ToJson(opened.config());
  EXPECT_FALSE(written.contains("compression_config"));
  EXPECT_FALSE(written.contains("quantization_config"));
}

}  // namespace
}  // namespace ecld
