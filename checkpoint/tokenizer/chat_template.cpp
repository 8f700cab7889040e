#include "checkpoint/tokenizer/chat_template.h"

#include "checkpoint/tokenizer/jinja/interpreter.h"
#include "checkpoint/tokenizer/jinja/parser.h"
#include "checkpoint/tokenizer/tokenizer_config.h"
#include "core/error.h"
#include "core/files.h"

namespace ecld {

struct ChatTemplate::Program {
  std::string where;
  jinja::Program program;
};

ChatTemplate::ChatTemplate(const std::string& source, const std::string& where)
    : program_(std::make_unique<Program>(Program{where, jinja::Parse(source, where)})) {}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

namespace {

// "chat_template" is the template, or a list of {"name", "template"} of which "default" counts.
std::optional<std::string> TemplateIn(const JsonView& config) {
  if (!config.Has("chat_template")) return std::nullopt;
  JsonView entry = config.At("chat_template");
  if (!entry.json().is_array()) return entry.String();
  for (size_t i = 0; i < entry.Size(); ++i)
    if (entry.At(i).At("name").String() == "default") return entry.At(i).At("template").String();
  Fail(entry.Where(), "holds no template named \"default\"");
}

Json ReadConfigJson(const std::filesystem::path& path) {
  return std::filesystem::exists(path) ? ReadJsonFile(path) : Json::object();
}

}  // namespace

std::optional<ChatTemplateText> ReadChatTemplate(const std::filesystem::path& directory) {
  if (auto path = directory / "chat_template.jinja"; std::filesystem::exists(path))
    return ChatTemplateText{ReadTextFile(path), path.string()};
  const std::filesystem::path config_path = directory / "tokenizer_config.json";
  const Json config = ReadConfigJson(config_path);
  std::optional<std::string> text = TemplateIn(JsonView(config, config_path.string()));
  if (!text) return std::nullopt;
  return ChatTemplateText{*text, config_path.string() + ": chat_template"};
}

std::optional<ChatTemplate> ChatTemplate::Open(const std::filesystem::path& directory) {
  const std::filesystem::path config_path = directory / "tokenizer_config.json";
  const Json config = ReadConfigJson(config_path);
  const JsonView view(config, config_path.string());
  std::optional<ChatTemplate> result;
  if (const auto source = ReadChatTemplate(directory)) result.emplace(source->text, source->where);
  if (!result) return std::nullopt;
  for (const char* key : {"bos_token", "eos_token", "unk_token", "pad_token"})
    if (auto text = SpecialTokenText(view, key)) result->defaults_[key] = *text;
  return result;
}

std::string ChatTemplate::Render(const Json& messages, bool add_generation_prompt, const Json& variables) const {
  jinja::Named scope;
  auto set = [&](const std::string& name, jinja::Value value) { jinja::Put(scope, name, std::move(value)); };
  for (const Json* source : {&std::as_const(defaults_), &variables})
    for (const auto& [key, value] : source->items()) set(key, jinja::Value::FromJson(value));
  set("messages", jinja::Value::FromJson(messages));
  set("add_generation_prompt", jinja::Value(add_generation_prompt));
  return jinja::Interpreter(program_->program, program_->where).Run(scope);
}

}  // namespace ecld
