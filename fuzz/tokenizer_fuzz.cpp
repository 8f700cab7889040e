// Bytes -> tokenizer.json, as a class of transformers that the size of the input chooses. What parses must encode any
// text and decode its own ids; an Error is a fine answer.

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "checkpoint/tokenizer/json_tokenizer.h"
#include "core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  constexpr const char* kClasses[] = {"",
                                      "LlamaTokenizer",
                                      "CodeLlamaTokenizer",
                                      "GemmaTokenizer",
                                      "Qwen2Tokenizer",
                                      "GPT2Tokenizer",
                                      "GPTNeoXTokenizer",
                                      "CohereTokenizer"};
  try {
    auto tokenizer = ecld::ReadJsonTokenizer(input, "fuzz", {.tokenizer_class = kClasses[size % std::size(kClasses)]});
    for (std::string_view text :
         {std::string_view("Hello  world, it's 1234\n\n \xf0\x9f\xa6\x99 \xff e\xcc\x81"), input})
      tokenizer->Decode(tokenizer->Encode(text.substr(0, 512), true), true);
  } catch (const ecld::Error&) {
  }
  return 0;
}
