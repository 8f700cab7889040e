// Bytes -> chat template source. What parses must render, or say why not; it may not hang or exhaust memory.

#include <cstddef>
#include <cstdint>
#include <string>

#include "checkpoint/tokenizer/chat_template.h"
#include "core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const ecld::Json messages = ecld::ParseJson(
      R"([{"role": "system", "content": "be brief"}, {"role": "user", "content": " hi\n"},
          {"role": "assistant", "tool_calls": [{"id": "123456789", "function": {"name": "f", "arguments": {"a": 1.5}}}]}])",
      "messages");
  try {
    ecld::ChatTemplate chat(std::string(reinterpret_cast<const char*>(data), size), "fuzz");
    chat.Render(messages, true, {{"bos_token", "<s>"}, {"tools", ecld::Json::array({{{"name", "f"}}})}});
  } catch (const ecld::Error&) {
  }
  return 0;
}
