#include "checkpoint/gguf/gguf_import.h"

#include <algorithm>
#include <map>

#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/gguf/gguf_config.h"
#include "checkpoint/gguf/gguf_metadata.h"
#include "checkpoint/gguf/gguf_tokenizer.h"
#include "checkpoint/gguf/gguf_weights.h"
#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "core/progress.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

void CheckVocabulary(const GgufContents& gguf, const ModelConfig& config) {
  const GgufVocabulary vocabulary = ReadGgufVocabulary(gguf);
  if (auto tokens = std::ssize(vocabulary.tokens); tokens > config.vocab_size)
    Fail(gguf.where, "has {} tokens but an embedding of {} rows", tokens, config.vocab_size);
  if (vocabulary.model == GgufVocabulary::Model::kByteLevelBpe && vocabulary.pre_tokenizer == kDefaultPreTokenizer)
    LogWarning(
        "{}: tokenizer.ggml.pre is {}: texts are cut into words as llama.cpp does by default, hardly as the model was "
        "trained, and it will answer worse; a file from a newer converter names its model's way",
        gguf.where, gguf.Find("tokenizer.ggml.pre") ? "\"default\"" : "missing");
}

std::string Few(const std::vector<std::string>& names) {
  const size_t shown = std::min<size_t>(names.size(), 10);
  const std::string rest = shown < names.size() ? fmt::format(" and {} more", names.size() - shown) : "";
  return fmt::format("{}{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "), rest);
}

// What the checkpoint will not have.
void TellLosses(const GgufContents& gguf, const ModelConfig& config, const std::vector<std::string>& tensors) {
  for (const std::string& note : config.notes) LogWarning("{}: {}", gguf.where, note);
  const GgufValue* rows = gguf.Find(gguf.At("general.architecture").String() + ".vocab_size");
  if (rows && rows->Int() != config.vocab_size)
    LogWarning("{}: is {}, but the embedding has {} rows, which count", rows->Where(), rows->Int(), config.vocab_size);
  if (const std::vector<std::string> keys = CheckGgufMetadata(gguf, config); !keys.empty())
    LogWarning("{}: keys that are not known are left out: {}", gguf.where, Few(keys));
  if (!tensors.empty()) LogInfo("{}: tensors that no logit depends on are left out: {}", gguf.where, Few(tensors));
}

// Codes become numbers, since few of GGUF's types are a grid that a packed checkpoint has: much larger, so it is said.
void TellSize(const GgufFile& file, const ModelConfig& config) {
  std::map<std::string_view, int64_t> types;
  for (const auto& [name, tensor] : file.contents().tensors) ++types[InfoOf(tensor.type).name];
  std::string counts;
  for (const auto& [type, count] : types) counts += fmt::format("{}{} of {}", counts.empty() ? "" : ", ", count, type);
  LogInfo("{}: {} in {} tensors ({}) become {} of {}", file.contents().where, FormatBytes(file.FileBytes()),
          file.contents().tensors.size(), counts, FormatBytes(ParameterCount(config) * SizeOf(config.dtype)),
          Name(config.dtype));
}

void WriteWeights(const GgufContents& gguf, CheckpointWriter& writer) {
  ThreadPool pool;
  Progress progress("import", std::ssize(writer.table()), "tensors");
  for (const TensorSpec& spec : writer.table()) {
    WriteGgufTensor(gguf, spec, writer, pool);
    progress.Advance(1, spec.name);
  }
}

}  // namespace

void ImportGguf(const fs::path& gguf_path, const fs::path& out_directory, const ImportOptions& options) {
  if (options.dtype != DType::kBF16 && options.dtype != DType::kF16 && options.dtype != DType::kF32) {
    Fail("dtype", "{} is not a type to import into; BF16, F16 and F32 are", Name(options.dtype));
  }
  GgufFile file(gguf_path);
  const GgufContents& gguf = file.contents();
  ModelConfig config = ReadGgufConfig(gguf, options.dtype);
  TellLosses(gguf, config, CheckGgufTensors(gguf, TensorTable(config)));

  RequireSeparate(gguf_path, out_directory);
  DirectoryLock lock(out_directory);
  RequireReplaceableDirectory(out_directory);
  CheckVocabulary(gguf, config);
  TellSize(file, config);
  const fs::path staged = Sibling(out_directory, ".partial");
  std::error_code error;
  fs::remove_all(staged, error);  // an import is short: a killed one begins anew
  const fs::path tokenizer = staged / "tokenizer";
  CheckpointWriter writer(staged, config);
  fs::create_directories(tokenizer, error);
  WriteTokenizerFiles(gguf, tokenizer);
  WriteWeights(gguf, writer);
  writer.Finish(tokenizer);
  fs::remove_all(tokenizer, error);
  PublishDirectory(staged, out_directory);
}

}  // namespace ecld
