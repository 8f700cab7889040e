#pragma once
// Chat templates: the Jinja templates of a checkpoint (chat_template_source.h), rendered as transformers renders them.
//
//   std::optional<ChatTemplate> chat = ChatTemplate::Open(directory, tokenizer->special_tokens());
//   if (chat && chat->problem()) ...    // a template that cannot be read is no error: it costs chat only
//   std::string prompt = chat->Apply(messages, true);

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "checkpoint/tokenizer/chat_template_source.h"
#include "core/json.h"

namespace ecld {

class ChatTemplate {
 public:
  // The templates of a checkpoint directory; nullopt when it has none. special_tokens: variables of every template, as
  // the tokenizer has them. file: takes the place of all of them, when it is not empty. Says in the log when two
  // sources differ. THROWS Error when file cannot be read or parsed.
  static std::optional<ChatTemplate> Open(const std::filesystem::path& directory, Json special_tokens,
                                          const std::string& file = "");
  // With the special tokens that the files of the directory name, where no tokenizer is at hand: those that only a
  // tokenizer's class brings are not among them. THROWS Error when one of these files is malformed.
  static std::optional<ChatTemplate> Open(const std::filesystem::path& directory);
  // From source text. THROWS Error with line on a syntax error or an unsupported construct.
  ChatTemplate(const std::string& source, const std::string& where);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  // Why conversations without tools cannot be rendered: file, line, and what would help; nullopt when they can.
  std::optional<std::string> problem(const Json& variables = Json::object()) const;

  // As apply_chat_template of transformers: entries of messages that are null count as absent, reasoning is there
  // under each of its names, and tools and documents are none when variables lack them.
  // THROWS Error as Render, and for a conversation without messages.
  std::string Apply(const Json& messages, bool add_generation_prompt, const Json& variables = Json::object()) const;

  // messages: [{"role": "user", "content": "..."}, ...]. variables: further template variables (bos_token, tools, ...),
  // all as they are. With tools, the template "tool_use" where there is one.
  // THROWS Error when the template itself raises (raise_exception) or uses an undefined thing, or cannot be read.
  std::string Render(const Json& messages, bool add_generation_prompt, const Json& variables = Json::object()) const;

 private:
  struct Program;
  ChatTemplate() = default;
  const Program* Choose(const Json& variables) const;

  std::map<std::string, std::unique_ptr<Program>> programs_;  // by name
  std::string where_;                                         // for errors
  Json defaults_ = Json::object();                            // bos_token, eos_token, ...
};

}  // namespace ecld
