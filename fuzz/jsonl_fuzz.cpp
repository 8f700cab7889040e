// Bytes as a file of texts: as text in whatever encoding its mark says, as documents of JSON records, as chats, as the
// argument that names a file. Refused with an Error, or read: then all that comes out is UTF-8 without a NUL, and no
// document is empty.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "checkpoint/tokenizer/chat_records.h"
#include "checkpoint/tokenizer/text_source.h"
#include "core/json_lines.h"
#include "core/text_encoding.h"
#include "core/utf8.h"
#include "fuzz/or_error.h"

namespace ecld {
namespace {

void RequireText(std::string_view text) {
  if (ValidRun(text, 0) != text.size() || text.find('\0') != std::string_view::npos) std::abort();
}

void ReadAll(const std::string& bytes) {
  std::string text;
  OrError([&] { text = DecodeText(bytes, "input"); });
  RequireText(text);
  for (const char* name : {"input", "input.jsonl"})
    for (const char* field : {"", "body"})
      OrError([&] {
        TextSource source(name);
        source.field = field;
        for (const std::string& document : ParseTexts(text, source, "no model", {}).documents) {
          RequireText(document);
          if (document.empty()) std::abort();
        }
      });
  const auto read = IsJsonArray(text) ? ReadJsonArray : ReadJsonLines;
  OrError([&] {
    read(text, "input", [](const Json& record, int64_t, const std::string& where) {
      for (const char* field : {"messages", "conversations"})
        OrError([&] {
          for (const Json& message : ReadChat(record, field, where).messages)
            if (!message.at("role").is_string()) std::abort();
        });
    });
  });
  OrError([&] { ParseTextSource(bytes); });
}

}  // namespace
}  // namespace ecld

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ecld::ReadAll(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
