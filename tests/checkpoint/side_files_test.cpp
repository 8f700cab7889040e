#include "checkpoint/side_files.h"

#include <gmock/gmock.h>

#include "core/files.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAre;
using testing::Not;

void Put(const fs::path& path) {
  fs::create_directories(path.parent_path());
  WriteFileAtomically(path, path.filename().string());
}

std::vector<std::string> LeftOut(const fs::path& directory, Weights weights) {
  std::vector<std::string> names;
  for (const auto& file : FindSideFiles(directory, weights).left_out) names.push_back(file.name);
  return names;
}

TEST(SideFiles, WhatBelongsToTheModelIsCarried) {
  TempDir dir;
  WriteTinyCheckpoint(dir / "in");
  const std::vector<std::string> carried = {"LICENSE",
                                            "LICENSE.txt",
                                            "USE_POLICY.md",
                                            "NOTICE",
                                            "tekken.json",
                                            "chat_template.jinja",
                                            "chat_template.json",
                                            "vocab.json",
                                            "merges.txt",
                                            "added_tokens.json",
                                            "modeling_new.py",
                                            "preprocessor_config.json",
                                            "additional_chat_templates/tools.jinja"};
  for (const std::string& name : carried) Put(dir / "in" / name);
  fs::create_directories(dir / "out");
  CopySideFiles(dir / "in", dir / "out", Weights::kChanged);
  for (const std::string& name : carried)
    EXPECT_EQ(ReadTextFile(dir / "out" / name), fs::path(name).filename()) << name;
  EXPECT_TRUE(fs::exists(dir / "out" / "tokenizer.json"));
  EXPECT_FALSE(fs::exists(dir / "out" / "config.json")) << "the writer's";
  EXPECT_THAT(LeftOut(dir / "in", Weights::kChanged), ElementsAre());
  CopySideFiles(dir / "in", dir / "out", Weights::kChanged);  // again, over what is there
}

TEST(SideFiles, OtherWeightsAndRecordsStayBehindByName) {
  TempDir dir;
  WriteTinyCheckpoint(dir / "in");
  for (const char* name :
       {"pytorch_model.bin", "consolidated.safetensors", "adapter_config.json", "model.gguf",
        "original/consolidated.00.pth", "original/params.json", "onnx/model.onnx", "README.md", "hf_quant_config.json",
        "imatrix.dat", "training_args.bin", "diary.txt", "assets/picture.png"})
    Put(dir / "in" / name);
  for (const char* own : {"report.json", "recipe.yaml", "ecld-tiles.bin", ".gitattributes", "model.lock"})
    Put(dir / "in" / own);
  EXPECT_THAT(LeftOut(dir / "in", Weights::kChanged),
              ElementsAre("README.md", "adapter_config.json", "assets/", "consolidated.safetensors", "diary.txt",
                          "hf_quant_config.json", "imatrix.dat", "model.gguf", "onnx/", "original/",
                          "pytorch_model.bin", "training_args.bin"));
  EXPECT_THAT(LeftOut(dir / "in", Weights::kSame), Not(Contains("README.md"))) << "an export is the same model";
  fs::create_directories(dir / "out");
  CopySideFiles(dir / "in", dir / "out", Weights::kSame);
  for (const char* name :
       {"pytorch_model.bin", "original", "report.json", "recipe.yaml", "ecld-tiles.bin", "diary.txt"})
    EXPECT_FALSE(fs::exists(dir / "out" / name)) << name;
  EXPECT_TRUE(fs::exists(dir / "out" / "README.md"));
}

}  // namespace
}  // namespace ecld
