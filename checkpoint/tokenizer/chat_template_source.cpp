#include "checkpoint/tokenizer/chat_template_source.h"

#include <algorithm>

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;
constexpr const char* kDefault = "default";

void Put(ChatTemplateTexts* texts, ChatTemplateText text) {
  std::erase_if(texts->templates, [&](const ChatTemplateText& known) { return known.name == text.name; });
  texts->templates.push_back(std::move(text));
}

// Of a tokenizer_config.json or chat_template.json.
ChatTemplateTexts OfConfig(const Json& json, const std::string& where) {
  ChatTemplateTexts texts;
  const JsonView config(json, where);
  if (!config.Has("chat_template")) return texts;
  const JsonView entry = config.At("chat_template");
  if (entry.json().is_object()) {
    for (const std::string& name : entry.Keys()) Put(&texts, {name, entry.At(name).String(), entry.At(name).Where()});
    return texts;
  }
  if (!entry.json().is_array()) {
    texts.templates.push_back({kDefault, entry.String(), entry.Where()});
    return texts;
  }
  for (size_t i = 0; i < entry.Size(); ++i)
    Put(&texts, {entry.At(i).At("name").String(), entry.At(i).At("template").String(), entry.At(i).Where()});
  return texts;
}

ChatTemplateTexts OfFiles(const fs::path& directory) {
  ChatTemplateTexts texts;
  if (const fs::path path = directory / "chat_template.jinja"; fs::exists(path))
    texts.templates.push_back({kDefault, ReadTextFile(path), path.string()});
  std::vector<fs::path> more;
  if (const fs::path folder = directory / "additional_chat_templates"; fs::is_directory(folder))
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().extension() == ".jinja") more.push_back(entry.path());
  std::sort(more.begin(), more.end());
  for (const fs::path& path : more) Put(&texts, {path.stem().string(), ReadTextFile(path), path.string()});
  return texts;
}

}  // namespace

const ChatTemplateText* ChatTemplateTexts::Find(std::string_view name) const {
  for (const ChatTemplateText& text : templates)
    if (text.name == name) return &text;
  return nullptr;
}

ChatTemplateTexts ReadChatTemplates(const fs::path& directory) {
  const fs::path path = directory / "tokenizer_config.json";
  const ChatTemplateTexts config = fs::exists(path) ? OfConfig(ReadJsonFile(path), path.string()) : ChatTemplateTexts();
  ChatTemplateTexts files = OfFiles(directory);
  if (files.templates.empty()) return config;
  for (const ChatTemplateText& lost : config.templates) {
    const ChatTemplateText* winner = files.Find(lost.name);
    if (winner && winner->text == lost.text) continue;
    files.note = winner ? fmt::format("{} counts; {} is another template and is not used", winner->where, lost.where)
                        : fmt::format("{} counts; {}, the template \"{}\", is not used", files.templates[0].where,
                                      lost.where, lost.name);
    break;
  }
  return files;
}

ChatTemplateTexts ReadChatTemplateFile(const std::string& file) {
  std::string text = ReadTextFile(file);
  const Json json = Json::accept(text) ? ParseJson(text, file) : Json();
  // No template is an object of JSON: its braces are followed by another brace, % or #.
  if (!json.is_object()) return {.templates = {{kDefault, std::move(text), file}}};
  ChatTemplateTexts texts = OfConfig(json, file);
  if (texts.templates.empty()) Fail(file, "is JSON without a chat_template; expected one, or a Jinja template");
  return texts;
}

}  // namespace ecld
