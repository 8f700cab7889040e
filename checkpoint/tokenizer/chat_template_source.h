#pragma once
// Where the chat templates of a checkpoint directory come from, as transformers 5 decides: chat_template.jinja (the
// "default" one) and additional_chat_templates/NAME.jinja; only when there are none of these, "chat_template" of
// tokenizer_config.json, a text or a list of {"name", "template"}.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace ecld {

struct ChatTemplateText {
  std::string name, text, where;
};

struct ChatTemplateTexts {
  std::vector<ChatTemplateText> templates;
  std::string note;  // of two sources that differ: which one counts; empty when there is nothing to say

  const ChatTemplateText* Find(std::string_view name) const;
};

// THROWS Error when tokenizer_config.json is malformed.
ChatTemplateTexts ReadChatTemplates(const std::filesystem::path& directory);

// Of a file that stands in place of a directory's: a Jinja template, or JSON with "chat_template" as above.
// THROWS Error when there is no template in it.
ChatTemplateTexts ReadChatTemplateFile(const std::string& file);

}  // namespace ecld
