#include "checkpoint/tokenizer/chat_template.h"

#include "checkpoint/tokenizer/tokenizer_config.h"
#include "core/error.h"
#include "core/log.h"
#include "jinja/interpreter.h"
#include "jinja/parser.h"

namespace ecld {

struct ChatTemplate::Program {
  std::string where;
  jinja::Program program = {};
  std::string problem = {};  // why it cannot be run
};

namespace {

constexpr const char* kReplace = "--chat-template FILE replaces the template";

}  // namespace

ChatTemplate::ChatTemplate(const std::string& source, const std::string& where) : where_(where) {
  auto program = std::make_unique<Program>(Program{where});
  program->program = jinja::Parse(source, program->where);
  programs_.emplace("default", std::move(program));
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

std::optional<ChatTemplate> ChatTemplate::Open(const std::filesystem::path& directory) {
  return Open(directory, ReadTokenizerConfig(directory).Texts());
}

std::optional<ChatTemplate> ChatTemplate::Open(const std::filesystem::path& directory, Json special_tokens,
                                               const std::string& file) {
  ChatTemplate result;
  result.where_ = file.empty() ? directory.string() : file;
  result.defaults_ = std::move(special_tokens);
  const bool own = file.empty();  // then what is wrong costs chat only
  ChatTemplateTexts texts;
  try {
    texts = own ? ReadChatTemplates(directory) : ReadChatTemplateFile(file);
  } catch (const Error& error) {
    if (!own) throw;
    result.programs_["default"] = std::make_unique<Program>(
        Program{.where = directory.string(), .problem = fmt::format("{} ({})", error.what(), kReplace)});
  }
  if (texts.templates.empty() && result.programs_.empty()) return std::nullopt;
  if (!texts.note.empty()) LogWarning("chat template: {}", texts.note);
  for (const ChatTemplateText& text : texts.templates) {
    auto program = std::make_unique<Program>(Program{text.where});
    try {
      program->program = jinja::Parse(text.text, program->where);
    } catch (const Error& error) {
      if (!own) throw;
      program->problem = fmt::format("{} ({})", error.what(), kReplace);
    }
    result.programs_[text.name] = std::move(program);
  }
  return result;
}

// THROWS Error when there is none that can be run.
const ChatTemplate::Program* ChatTemplate::Choose(const Json& variables) const {
  auto chosen = programs_.find("default");
  if (variables.contains("tools") && !variables["tools"].is_null())
    if (auto with_tools = programs_.find("tool_use"); with_tools != programs_.end()) chosen = with_tools;
  if (chosen == programs_.end()) {
    std::string names;
    for (const auto& [name, unused] : programs_) (names += names.empty() ? "" : ", ") += name;
    Fail(where_, "holds no chat template named \"default\", only {} ({})", names, kReplace);
  }
  if (!chosen->second->problem.empty()) throw Error("", chosen->second->problem);
  return chosen->second.get();
}

std::optional<std::string> ChatTemplate::problem(const Json& variables) const {
  try {
    Choose(variables);
    return std::nullopt;
  } catch (const Error& error) {
    return error.what();
  }
}

std::string ChatTemplate::Apply(const Json& messages, bool add_generation_prompt, const Json& variables) const {
  if (messages.empty()) Fail("messages", "a conversation needs at least one message");
  Json conversation = Json::array();
  for (const Json& message : messages) {
    // The first name that is given is read, and is there under the two that templates read.
    Json reasoning, own = Json::object();
    for (const char* name : {"reasoning_content", "thinking", "reasoning"})
      if (reasoning.is_null() && message.contains(name)) reasoning = message[name];
    if (!reasoning.is_null()) own["thinking"] = reasoning;
    for (const auto& [key, value] : message.items())
      if (!value.is_null()) own[key] = value;
    if (!reasoning.is_null()) own["reasoning_content"] = reasoning;
    conversation.push_back(std::move(own));
  }
  Json all = {{"tools", nullptr}, {"documents", nullptr}};
  all.update(variables);
  return Render(conversation, add_generation_prompt, all);
}

std::string ChatTemplate::Render(const Json& messages, bool add_generation_prompt, const Json& variables) const {
  const Program* program = Choose(variables);
  jinja::Named scope;
  for (const Json* source : {&std::as_const(defaults_), &variables})
    for (const auto& [key, value] : source->items()) jinja::Put(scope, key, jinja::Value::FromJson(value));
  jinja::Put(scope, "messages", jinja::Value::FromJson(messages));
  jinja::Put(scope, "add_generation_prompt", jinja::Value(add_generation_prompt));
  return jinja::Interpreter(program->program, program->where).Run(scope);
}

}  // namespace ecld
