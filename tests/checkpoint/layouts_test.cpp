// Directories as people have them: names, shards and tensors of other programs.
#include <gmock/gmock.h>

#include <cstring>
#include <functional>

#include "checkpoint/checkpoint.h"
#include "checkpoint/shard_writer.h"
#include "core/files.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/near.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

struct Stored {
  DType dtype;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;
};
using StoredModel = std::map<std::string, Stored>;

class Layouts : public testing::Test {
 protected:
  void SetUp() override { Make({}); }

  void Make(const TinyOptions& options) {
    fs::remove_all(dir_ / "m");
    WriteTinyCheckpoint(dir_ / "m", options);
    const Checkpoint checkpoint = Checkpoint::Open(dir_ / "m");
    model_.clear();
    floats_.clear();
    for (const auto& shard : checkpoint.shards())
      for (const auto& [name, view] : shard->tensors())
        model_[name] = {view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}};
    for (const TensorSpec& spec : checkpoint.table()) floats_[spec.name] = checkpoint.ReadFloats(spec);
  }

  // The directory with these tensors, in one file or in shards.
  void Save(const StoredModel& model, uint64_t shard_bytes = ShardWriter::kShardBytes) {
    for (const auto& entry : fs::directory_iterator(dir_ / "m"))
      if (entry.path().string().find(".safetensors") != std::string::npos) fs::remove(entry.path());
    std::vector<StoredTensor> tensors;
    for (const auto& [name, stored] : model) tensors.push_back({name, stored.dtype, stored.shape});
    ShardWriter shards(dir_ / "m", tensors, shard_bytes);
    shards.Open();
    shards.Allocate();
    for (const auto& [name, stored] : model) shards.WritePiece(name, 0, stored.bytes);
    shards.WriteIndex();
  }

  StoredModel Renamed(const std::function<std::string(const std::string&)>& name_of) const {
    StoredModel renamed;
    for (const auto& [name, stored] : model_) renamed[name_of(name)] = stored;
    return renamed;
  }

  StoredModel With(const std::string& name, Stored stored) const {
    StoredModel model = model_;
    model[name] = std::move(stored);
    return model;
  }

  Checkpoint Open() const { return Checkpoint::Open(dir_ / "m"); }

  void ExpectSameModel() const {
    const Checkpoint checkpoint = Open();
    for (const TensorSpec& spec : checkpoint.table())
      EXPECT_TRUE(Near(checkpoint.ReadFloats(spec), floats_.at(spec.name), Exact())) << spec.name;
  }

  void EditConfig(const std::function<void(Json*)>& edit) const {
    Json json = ReadJsonFile(dir_ / "m/config.json");
    edit(&json);
    WriteJsonFile(dir_ / "m/config.json", json);
  }

  static Stored Floats(size_t count, uint8_t fill) {
    return {DType::kF32, {static_cast<int64_t>(count)}, std::vector<std::byte>(count * 4, std::byte{fill})};
  }

  TempDir dir_;
  StoredModel model_;
  std::map<std::string, std::vector<float>> floats_;
};

std::string WithoutModel(const std::string& name) { return name.starts_with("model.") ? name.substr(6) : name; }

TEST_F(Layouts, NamesOfABaseModelAndOfWrappersAreRead) {
  struct Wrapper {
    const char *decoder, *head;
  };
  const Wrapper wrappers[] = {{"", "lm_head."},
                              {"language_model.model.", "language_model.lm_head."},
                              {"model.language_model.", "lm_head."},
                              {"module.model.", "module.lm_head."},
                              {"_orig_mod.model.", "_orig_mod.lm_head."}};
  for (const Wrapper& wrapper : wrappers) {
    Save(Renamed([&](const std::string& name) {
      return name.starts_with("lm_head.") ? wrapper.head + name.substr(8) : wrapper.decoder + WithoutModel(name);
    }));
    ExpectSameModel();
    EXPECT_THAT(Open().notes(), Contains(HasSubstr("layers.0.input_layernorm.weight\" and so on, and read as")))
        << wrapper.decoder;
  }
}

TEST_F(Layouts, ABaseModelWithoutAHeadIsReadWhereItIsTied) {
  StoredModel base = Renamed(WithoutModel);
  base.erase("lm_head.weight");
  Save(base);
  EXPECT_ERROR(Open(), "tensor \"lm_head.weight\" [300, 64] is missing");
  Make({.tied = true});
  Save(Renamed(WithoutModel), 20000);
  ExpectSameModel();
}

TEST_F(Layouts, AStaleIndexIsNotFollowedWhereTheShardsAreComplete) {
  const fs::path index = dir_ / "m/model.safetensors.index.json";
  const std::string text = ReadTextFile(index);
  Save(model_);
  WriteFileAtomically(index, text);  // names two shards; model.safetensors is there
  ExpectSameModel();
  EXPECT_THAT(Open().notes(), Contains(HasSubstr("is not followed: model.safetensors is there")));

  fs::rename(dir_ / "m/model.safetensors", dir_ / "m/model-00001-of-00001.safetensors");
  ExpectSameModel();
  EXPECT_THAT(Open().notes(), Contains(HasSubstr("is not followed: it names model-00001-of-00002.safetensors")));
  EXPECT_FALSE(Open().indexed());
}

TEST_F(Layouts, ShardsWithoutAnIndexAreReadWhenTheSetIsComplete) {
  fs::remove(dir_ / "m/model.safetensors.index.json");
  ExpectSameModel();
  fs::rename(dir_ / "m/model-00002-of-00002.safetensors", dir_ / "m/aside");
  EXPECT_ERROR(Open(), "are not one complete set of shards: model-00001-of-00002.safetensors");
  Save(model_);
  fs::rename(dir_ / "m/model.safetensors", dir_ / "m/model-00001-of-00001.safetensors");
  ExpectSameModel();
  EXPECT_THAT(Open().notes(), IsEmpty());
  fs::rename(dir_ / "m/model-00001-of-00001.safetensors", dir_ / "m/weights.safetensors");
  ExpectSameModel();
}

TEST_F(Layouts, FilesOfOtherFormsAreNotTakenForShards) {
  fs::copy_file(dir_ / "m/model-00001-of-00002.safetensors", dir_ / "m/consolidated.safetensors");
  fs::copy_file(dir_ / "m/model-00001-of-00002.safetensors", dir_ / "m/adapter_model.safetensors");
  ExpectSameModel();
  fs::remove(dir_ / "m/model.safetensors.index.json");
  ExpectSameModel();
  for (const char* shard : {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"})
    fs::remove(dir_ / "m" / shard);
  EXPECT_ERROR(Open(), "holds adapter_model.safetensors, which is an adapter; merge it");
  fs::remove(dir_ / "m/adapter_model.safetensors");
  EXPECT_ERROR(Open(), "holds consolidated.safetensors, which is the form of Mistral's own programs");
  fs::remove(dir_ / "m/consolidated.safetensors");
  EXPECT_ERROR(Open(), "holds neither model.safetensors nor model.safetensors.index.json");
  WriteFileAtomically(dir_ / "m/model.gguf", "");
  EXPECT_ERROR(Open(), "holds model.gguf; turn it into a checkpoint directory with `ecld import` first");
  WriteFileAtomically(dir_ / "m/pytorch_model-00001-of-00002.bin", "");
  EXPECT_ERROR(Open(), "holds pytorch_model-00001-of-00002.bin; only safetensors is read: convert it first");
  WriteFileAtomically(dir_ / "m/adapter_config.json", "{}");
  EXPECT_ERROR(Open(), "holds an adapter (adapter_config.json) beside a model");
  fs::remove(dir_ / "m/adapter_config.json");
  fs::remove(dir_ / "m/config.json");
  WriteFileAtomically(dir_ / "m/params.json", "{}");
  EXPECT_ERROR(Open(), "the form of Meta's and Mistral's own programs");
  WriteFileAtomically(dir_ / "m/adapter_config.json", "{}");
  EXPECT_ERROR(Open(), "holds an adapter (adapter_config.json), not a model");
}

TEST_F(Layouts, AHeadThatIsStoredAndDiffersIsNotTied) {
  EditConfig([](Json* json) { (*json)["tie_word_embeddings"] = true; });
  const Checkpoint untied = Open();
  EXPECT_FALSE(untied.config().tie_embeddings);
  EXPECT_THAT(untied.notes(), Contains(HasSubstr("tie_word_embeddings is true, but lm_head.weight is stored")));
  EXPECT_EQ(ToJson(untied.config())["tie_word_embeddings"], false);
  ExpectSameModel();

  Save(With("lm_head.weight", model_["model.embed_tokens.weight"]));
  const Checkpoint tied = Open();
  EXPECT_TRUE(tied.config().tie_embeddings);
  EXPECT_THAT(tied.notes(), IsEmpty());
  EXPECT_FALSE(tied.Has("lm_head.weight"));
}

TEST_F(Layouts, TensorsOfLargerModelsAndBuffersArePassedOver) {
  for (const char* buffer : {"model.layers.0.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq",
                             "model.causal_mask", "model.layers.1.mlp.down_proj.bias"}) {
    Save(With(buffer, Floats(8, 0)));
    EXPECT_THAT(Open().notes(), IsEmpty()) << buffer;
    ExpectSameModel();
  }
  const std::pair<const char*, const char*> parts[] = {{"vision_tower.x.weight", "a vision tower"},
                                                       {"multi_modal_projector.linear_1.weight", "a multi-modal"},
                                                       {"mtp.layers.0.input_layernorm.weight", "further tokens"},
                                                       {"v_head.summary.weight", "a value head"},
                                                       {"model.layers.0.self_attn.k_scale", "a cache in 8-bit"}};
  for (const auto& [name, what] : parts) {
    Save(With(name, Floats(8, 1)));
    EXPECT_THAT(Open().notes(), Contains(HasSubstr(what))) << name;
    EXPECT_EQ(Open().WeightBytes(), WeightFileBytes(Open().config())) << "what is passed over is no weight";
  }
  Save(With("model.layers.2.eh_proj.weight", Floats(8, 1)));
  EXPECT_THAT(Open().notes(), Contains(HasSubstr("layers beyond num_hidden_layers")));
  EditConfig([](Json* json) { (*json)["num_nextn_predict_layers"] = 1; });
  EXPECT_THAT(Open().notes(), Contains(HasSubstr("further tokens")));
}

TEST_F(Layouts, WhatWouldBeLostIsRefusedByName) {
  const std::string up = "model.layers.0.mlp.up_proj.";
  const std::pair<const char*, const char*> lost[] = {
      {"weight_scale_inv", "is a scale that nothing applies; quantization_config must say"},
      {"weight_zero_point", "is a zero point that nothing applies"},
      {"pre_quant_scale", "is a scale that nothing applies"},
      {"qweight", "is codes of a quantization that config.json does not announce"},
      {"qzeros", "is zero points of a quantization"},
      {"g_idx", "is the order of a quantization"},
      {"lora_A.weight", "is part of an adapter; merge it"},
      {"weight.absmax", "is of bitsandbytes"},
      {"R4_hadamard", "is a rotation that nothing applies"},
      {"bias", "is a bias that a model of this config.json does not have"},
      {"stray", "is not part of a llama of this config.json, and what it is for is not known"}};
  for (const auto& [end, why] : lost) {
    Save(With(up + end, Floats(8, 1)));
    EXPECT_ERROR(Open(), "tensor \"" + up + end + "\" " + why);
  }
  StoredModel packed = With(up + "qweight", Floats(8, 1));
  packed.erase(up + "weight");
  Save(packed);
  EXPECT_ERROR(Open(), "tensor \"" + up + "weight\" [96, 64] is missing; \"" + up + "qweight\" is codes of a");
}

TEST_F(Layouts, WeightsOfAnotherTypeThanTheConfigSaysAreTold) {
  EXPECT_THAT(Open().notes(), IsEmpty());
  EditConfig([](Json* json) { (*json)["torch_dtype"] = "bfloat16"; });
  EXPECT_THAT(Open().notes(), Contains(HasSubstr("are stored as F32, but config.json says BF16")));
  for (const Json& open : {Json(nullptr), Json("auto")}) {
    EditConfig([&](Json* json) { (*json)["torch_dtype"] = open; });
    EXPECT_EQ(Open().config().dtype, DType::kF32);
    EXPECT_THAT(Open().notes(), IsEmpty());
  }
}

TEST_F(Layouts, NotesAreOfAllFiles) {
  EditConfig([](Json* json) { (*json)["favourite_colour"] = "blue"; });
  WriteFileAtomically(dir_ / "m/generation_config.json", R"({"guidance_scale": 2.0})");
  EXPECT_THAT(Open().notes(),
              testing::ElementsAre(
                  "config.json: fields that are not known and passed over: favourite_colour",
                  "generation_config.json: guidance_scale 2.0 is passed over; it asks for classifier-free guidance"));
}

TEST_F(Layouts, NumbersThatOnlyPythonWritesAreLeftOut) {
  const std::string text = ReadTextFile(dir_ / "m/config.json");
  const auto put = [&](const std::string& from, const std::string& to) {
    std::string edited = text;
    WriteFileAtomically(dir_ / "m/config.json", edited.replace(text.find(from), from.size(), to));
  };
  put("\"initializer_range\": 0.02", R"("initializer_range": NaN, "x": -Infinity, "y": "a \"NaN")");
  const Checkpoint checkpoint = Open();
  EXPECT_THAT(checkpoint.notes(), Contains(HasSubstr("initializer_range is \"NaN\", which is no number of JSON")));
  EXPECT_FALSE(ToJson(checkpoint.config()).contains("x"));
  EXPECT_EQ(ToJson(checkpoint.config())["y"], "a \"NaN");
  put("\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": NaN");
  EXPECT_ERROR(Open(), "rms_norm_eps: expected a number, found \"NaN\"");
}

}  // namespace
}  // namespace ecld
