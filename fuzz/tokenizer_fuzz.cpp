// Bytes -> tokenizer.json. What parses must encode any text and decode its own ids; an Error is a fine answer.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "checkpoint/tokenizer/json_tokenizer.h"
#include "core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  try {
    auto tokenizer = ecld::ReadJsonTokenizer(input, "fuzz", ecld::TokenizerConfig{});
    for (std::string_view text :
         {std::string_view("Hello  world, it's 1234\n\n \xf0\x9f\xa6\x99 \xff e\xcc\x81"), input})
      tokenizer->Decode(tokenizer->Encode(text.substr(0, 512), true), true);
  } catch (const ecld::Error&) {
  }
  return 0;
}
