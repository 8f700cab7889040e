#include "checkpoint/gguf/gguf_import.h"

#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/gguf/gguf_config.h"
#include "checkpoint/gguf/gguf_tokenizer.h"
#include "checkpoint/gguf/gguf_weights.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

void CheckVocabularyFits(const GgufContents& gguf, const ModelConfig& config) {
  auto tokens = std::ssize(ReadGgufVocabulary(gguf).tokens);
  if (tokens > config.vocab_size) {
    Fail(gguf.where, "has {} tokens but an embedding of {} rows", tokens, config.vocab_size);
  }
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
  CheckGgufTensors(gguf, TensorTable(config));
  CheckVocabularyFits(gguf, config);

  RequireSeparate(gguf_path, out_directory);
  DirectoryLock lock(out_directory);
  RequireReplaceableDirectory(out_directory);
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
