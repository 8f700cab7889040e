#include "checkpoint/tokenizer/tokenizer.h"

#include "checkpoint/tokenizer/json_tokenizer.h"
#include "checkpoint/tokenizer/sentencepiece_tokenizer.h"
#include "checkpoint/tokenizer/tokenizer_config.h"
#include "core/error.h"
#include "core/files.h"

namespace ecld {

std::unique_ptr<Tokenizer> Tokenizer::Open(const std::filesystem::path& directory) {
  TokenizerConfig config = ReadTokenizerConfig(directory);
  if (auto path = directory / "tokenizer.json"; std::filesystem::exists(path))
    return ReadJsonTokenizer(ReadTextFile(path), path.string(), config);
  if (auto path = directory / "tokenizer.model"; std::filesystem::exists(path))
    return ReadSentencePieceTokenizer(ReadFile(path), path.string(), config);
  Fail(directory.string(), "holds no tokenizer, expected tokenizer.json or tokenizer.model");
}

}  // namespace ecld
