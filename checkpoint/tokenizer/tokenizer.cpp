#include "checkpoint/tokenizer/tokenizer.h"

#include "checkpoint/tokenizer/json_tokenizer.h"
#include "checkpoint/tokenizer/sentencepiece_tokenizer.h"
#include "checkpoint/tokenizer/tokenizer_config.h"
#include "core/error.h"
#include "core/files.h"

namespace ecld {
namespace {

// transformers builds Gemma's itself, whatever the files say; how it cuts a text is not known here.
void RequireSupported(const TokenizerConfig& config, const std::string& directory) {
  const std::string& name = config.tokenizer_class;
  if (name == "GemmaTokenizer" || name == "GemmaTokenizerFast" || (name.empty() && config.model_type == "gemma3_text"))
    Fail(directory, "its tokenizer is a GemmaTokenizer, which is not supported");
}

}  // namespace

std::unique_ptr<Tokenizer> Tokenizer::Open(const std::filesystem::path& directory) {
  TokenizerConfig config = ReadTokenizerConfig(directory);
  RequireSupported(config, directory.string());
  if (auto path = directory / "tokenizer.json"; std::filesystem::exists(path))
    return ReadJsonTokenizer(ReadTextFile(path), path.string(), config);
  if (auto path = directory / "tokenizer.model"; std::filesystem::exists(path))
    return ReadSentencePieceTokenizer(ReadFile(path), path.string(), config);
  Fail(directory.string(), "holds no tokenizer, expected tokenizer.json or tokenizer.model");
}

}  // namespace ecld
