#pragma once
// Chat templates: the Jinja template of tokenizer_config.json ("chat_template") or chat_template.jinja, rendered by a
// small interpreter of the part of Jinja such templates use.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "core/json.h"

namespace ecld {

// The text of the template of a checkpoint directory, and the file that it stands in; nullopt when it has none.
struct ChatTemplateText {
  std::string text, where;
};
std::optional<ChatTemplateText> ReadChatTemplate(const std::filesystem::path& directory);

class ChatTemplate {
 public:
  // The template of a checkpoint directory; nullopt when it has none. THROWS Error when malformed.
  static std::optional<ChatTemplate> Open(const std::filesystem::path& directory);
  // From source text. THROWS Error with line on a syntax error or an unsupported construct.
  ChatTemplate(const std::string& source, const std::string& where);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  // messages: [{"role": "user", "content": "..."}, ...]. variables: further template variables (bos_token, tools, ...).
  // THROWS Error when the template itself raises (raise_exception) or uses an undefined thing.
  std::string Render(const Json& messages, bool add_generation_prompt, const Json& variables = Json::object()) const;

 private:
  struct Program;
  std::unique_ptr<Program> program_;
  Json defaults_ = Json::object();  // bos_token, eos_token of the directory
};

}  // namespace ecld
