// Which template of a directory counts, and that one which cannot be read costs chat only.

#include "checkpoint/tokenizer/chat_template_source.h"

#include <gtest/gtest.h>

#include <string>

#include "checkpoint/tokenizer/chat_template.h"
#include "checkpoint/tokenizer/tokenizer.h"
#include "core/files.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

const Json kMessages = Json::parse(R"([{"role": "user", "content": "Hi"}])");

TEST(ChatTemplateSource, OpensTheTemplateOfADirectory) {
  TempDir directory;
  EXPECT_FALSE(ChatTemplate::Open(directory.path(), {}).has_value());
  WriteFileAtomically(directory / "tokenizer_config.json", R"({"chat_template": [
    {"name": "tool_use", "template": "tools"}, {"name": "default", "template": "{{ bos_token }}one"}]})");
  EXPECT_EQ(ChatTemplate::Open(directory.path(), {{"bos_token", "<s>"}})->Render(kMessages, false), "<s>one");
  WriteFileAtomically(directory / "special_tokens_map.json", R"({"bos_token": "<b>"})");
  EXPECT_EQ(ChatTemplate::Open(directory.path())->Render(kMessages, false), "<b>one");
  WriteFileAtomically(directory / "chat_template.jinja", "{{ bos_token }}two");
  EXPECT_EQ(ChatTemplate::Open(directory.path(), {{"bos_token", "<s>"}})->Render(kMessages, false), "<s>two");
  EXPECT_EQ(
      ChatTemplate::Open(directory.path(), {{"bos_token", "<s>"}})->Render(kMessages, false, {{"bos_token", "!"}}),
      "!two");
}

TEST(ChatTemplateSource, ToolsTakeTheirOwnTemplate) {
  TempDir directory;
  WriteFileAtomically(directory / "tokenizer_config.json", R"({"chat_template": [
    {"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}]})");
  const auto chat = ChatTemplate::Open(directory.path(), {});
  EXPECT_EQ(chat->Render(kMessages, false, {{"tools", Json::array()}}), "tools");
  EXPECT_EQ(chat->Render(kMessages, false, {{"tools", nullptr}}), "plain");
}

TEST(ChatTemplateSource, FilesWinOverTheConfigAndSaySo) {
  TempDir directory;
  WriteFileAtomically(directory / "tokenizer_config.json", R"({"chat_template": "a"})");
  WriteFileAtomically(directory / "chat_template.jinja", "a");
  EXPECT_EQ(ReadChatTemplates(directory.path()).note, "");
  WriteFileAtomically(directory / "chat_template.jinja", "b");
  const ChatTemplateTexts texts = ReadChatTemplates(directory.path());
  EXPECT_NE(texts.note.find("chat_template.jinja counts"), std::string::npos) << texts.note;
  EXPECT_EQ(texts.Find("default")->text, "b");
  std::filesystem::create_directory(directory / "additional_chat_templates");
  WriteFileAtomically(directory / "additional_chat_templates/tool_use.jinja", "t");
  EXPECT_EQ(ReadChatTemplates(directory.path()).Find("tool_use")->text, "t");
}

TEST(ChatTemplateSource, OneThatCannotBeReadCostsChatOnly) {
  TempDir directory;
  WriteFileAtomically(directory / "chat_template.jinja", "\n{% for %}");
  const auto chat = ChatTemplate::Open(directory.path(), {});
  ASSERT_TRUE(chat.has_value());
  EXPECT_NE(chat->problem()->find("chat_template.jinja:2: expected a name"), std::string::npos) << *chat->problem();
  EXPECT_ERROR(chat->Render(kMessages, true), "chat_template.jinja:2: expected a name");
  EXPECT_ERROR(chat->Apply(kMessages, true), "--chat-template FILE replaces the template");

  WriteFileAtomically(directory / "mine", "mine");
  const auto replaced = ChatTemplate::Open(directory.path(), {}, (directory / "mine").string());
  EXPECT_FALSE(replaced->problem().has_value());
  EXPECT_EQ(replaced->Render(kMessages, true), "mine");
  WriteFileAtomically(directory / "mine", "{{");
  EXPECT_ERROR(ChatTemplate::Open(directory.path(), {}, (directory / "mine").string()), "mine:1: not closed with }}");
}

TEST(ChatTemplateSource, AnEntryThatIsNoTemplateCostsChatOnly) {
  TempDir directory;
  WriteFileAtomically(directory / "tokenizer_config.json", R"({"chat_template": {"default": "d", "tool_use": "t"}})");
  EXPECT_EQ(ChatTemplate::Open(directory.path(), {})->Render(kMessages, true), "d");
  for (const char* entry : {"5", R"([{"template": "t"}])"}) {
    WriteFileAtomically(directory / "tokenizer_config.json", fmt::format(R"({{"chat_template": {}}})", entry));
    const auto chat = ChatTemplate::Open(directory.path(), {});
    ASSERT_TRUE(chat && chat->problem()) << entry;
    EXPECT_NE(chat->problem()->find("--chat-template FILE replaces"), std::string::npos) << *chat->problem();
  }
}

TEST(ChatTemplateSource, NoDefaultCostsChatWithoutToolsOnly) {
  TempDir directory;
  WriteFileAtomically(directory / "tokenizer_config.json",
                      R"({"chat_template": [{"name": "tool_use", "template": "tools"}]})");
  const auto chat = ChatTemplate::Open(directory.path(), {});
  EXPECT_ERROR(chat->Render(kMessages, true), "holds no chat template named \"default\", only tool_use");
  EXPECT_EQ(chat->Render(kMessages, true, {{"tools", Json::array()}}), "tools");
  EXPECT_TRUE(chat->problem());
  EXPECT_FALSE(chat->problem({{"tools", Json::array()}}));
}

TEST(ChatTemplateSource, SpecialTokensAreVariables) {
  TempDir directory;
  WriteFileAtomically(directory / "chat_template.jinja", "{{ eos_token }}{{ bos_token is defined }}");
  EXPECT_EQ(ChatTemplate::Open(directory.path(), {{"eos_token", "</s>"}})->Render(kMessages, true), "</s>False");
  // A tokenizer's own: the map overrules tokenizer_config.json, and what no file says is the class's.
  WriteTinyTokenizer(directory.path());
  WriteFileAtomically(directory / "tokenizer_config.json",
                      R"({"tokenizer_class": "GPT2Tokenizer", "eos_token": "</s>", "sep_token": null})");
  WriteFileAtomically(directory / "special_tokens_map.json", R"({"eos_token": "no", "sep_token": "<sep>"})");
  WriteFileAtomically(directory / "chat_template.jinja", "{{ eos_token }}{{ sep_token }}{{ bos_token }}");
  const auto chat = ChatTemplate::Open(directory.path(), Tokenizer::Open(directory.path())->special_tokens());
  EXPECT_EQ(chat->Render(kMessages, true), "no<sep><|endoftext|>");
}

TEST(ChatTemplateSource, AFileInPlaceOfThemMayBeJson) {
  TempDir directory;
  const std::string file = (directory / "mine.json").string();
  const auto render = [&](const char* text) {
    WriteFileAtomically(file, text);
    return ChatTemplate::Open(directory.path(), {}, file)->Render(kMessages, true);
  };
  EXPECT_EQ(render(R"({"bos_token": "<s>", "chat_template": "{{ 'one' }}"})"), "one");
  EXPECT_EQ(render(R"({"chat_template": [{"name": "default", "template": "two"}]})"), "two");
  EXPECT_EQ(render("\n{\"chat_template\": \"three\"}"), "three");
  EXPECT_EQ(render("{{ 'four' }}"), "four");
  EXPECT_EQ(render("[5]"), "[5]");
  EXPECT_ERROR(render(R"({"bos_token": "<s>"})"), "mine.json: is JSON without a chat_template");
}

}  // namespace
}  // namespace ecld
