// Files of texts as documents: what is read, in which form, and what is refused by name.

#include "checkpoint/tokenizer/text_source.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "core/json.h"
#include "tests/testing/expect_error.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

class TextSourceTest : public testing::Test {
 protected:
  TextSourceTest() {
    fs::create_directories(dir_ / "model");
    WriteTinyTokenizer(dir_ / "model");
    tokenizer_ = Tokenizer::Open(dir_ / "model");
  }

  TextSource Write(const std::string& name, const std::string& content, const std::string& field = "") const {
    std::ofstream(dir_ / name, std::ios::binary) << content;
    TextSource source(dir_ / name);
    source.field = field;
    return source;
  }
  Texts Read(const std::string& name, const std::string& content, const std::string& field = "") const {
    return ReadTexts(Write(name, content, field), dir_ / "model", *tokenizer_);
  }
  // The documents, as the tokenizer reads them back.
  std::string Rendered(const Texts& texts) const {
    return tokenizer_->Decode(Encode(texts, *tokenizer_, false, "texts"), false);
  }

  TempDir dir_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

using Strings = std::vector<std::string>;

TEST_F(TextSourceTest, PlainTextIsOneDocumentWithNothingAdded) {
  const Texts texts = Read("a.txt", "one\n\ntwo {\"text\": 1}\n");
  EXPECT_EQ(texts.kind, Texts::Kind::kPlain);
  EXPECT_EQ(Encode(texts, *tokenizer_, false, ""), tokenizer_->Encode("one\n\ntwo {\"text\": 1}\n", false));
  EXPECT_EQ(Describe(texts), "text");
  EXPECT_ERROR(Read("empty.txt", ""), "empty.txt: is empty");
  EXPECT_ERROR(Read("bad.txt", "caf\xe9"), "bad.txt: byte 3 is 0xe9");
}

TEST_F(TextSourceTest, TextThatSeemsToBeWrittenForProgramsIsWarnedOf) {
  testing::internal::CaptureStderr();
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(Read("page.txt", "\n<!DOCTYPE html>\n").documents, Strings{"\n<!DOCTYPE html>\n"});
  Read("object.txt", "{\n\"a\": 1\n}");
  TextSource meant = Write("meant.txt", "<html>");
  meant.format = "text";
  ReadTexts(meant, dir_ / "model", *tokenizer_);
  const std::string log = testing::internal::GetCapturedStderr();
  const size_t first = log.find("page.txt: seems to be a web page (HTML), and is taken as text");
  EXPECT_NE(first, std::string::npos) << log;
  EXPECT_EQ(log.find("page.txt", first + 1), std::string::npos) << log;
  EXPECT_NE(log.find("object.txt: seems to be one JSON value"), std::string::npos) << log;
  EXPECT_EQ(log.find("meant.txt"), std::string::npos) << log;
}

TEST_F(TextSourceTest, OtherFieldsWithTextsAreTold) {
  const std::string chat = R"([{"role": "user", "content": "Hi"}])";
  const auto log_of = [&](const std::string& name, const std::string& record, const std::string& field = "") {
    testing::internal::CaptureStderr();
    Read(name, record + "\n" + record, field);
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_NE(log_of("a.jsonl", R"({"text": "T", "messages": )" + chat + "}")
                .find("a.jsonl: has records with messages beside text; text is taken (field=NAME names another)"),
            std::string::npos);
  EXPECT_NE(log_of("b.jsonl", R"({"text": "T", "prompt": "P"})").find("prompt beside text"), std::string::npos);
  EXPECT_NE(log_of("c.jsonl", R"({"conversations": )" + chat + R"(, "messages": )" + chat + "}")
                .find("conversations beside messages; messages is taken"),
            std::string::npos);
  EXPECT_EQ(log_of("d.jsonl", R"({"messages": )" + chat + R"(, "prompt": "Hi"})"), "");  // its beginning
  EXPECT_EQ(log_of("e.jsonl", R"({"text": "T", "messages": [], "prompt": null})"), "");
  EXPECT_EQ(log_of("f.jsonl", R"({"text": "T", "messages": )" + chat + "}", "text"), "");
}

TEST_F(TextSourceTest, ToolsOfLlamaFactoryAreThoseOfMessages) {
  std::ofstream(dir_ / "model" / "chat_template.jinja")
      << "{{ tools | tojson }}{% for m in messages %}|{{ m.role }}:{{ m.content }}"
         "{% for c in m.tool_calls %}{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}";
  const Json call = {{"name", "f"}, {"arguments", {{"x", 1}}}};
  const auto record = [&](const Json& calls, const Json& tools) {
    return Json{{"conversations",
                 {{{"from", "human"}, {"value", "Q"}},
                  {{"from", "function_call"}, {"value", calls.dump()}},
                  {{"from", "observation"}, {"value", "42"}},
                  {{"from", "gpt"}, {"value", "A"}}}},
                {"tools", tools.dump()}}
        .dump();
  };
  const std::string chat = "|user:Q|assistant:f{\"x\": 1}|tool:42|assistant:A";
  const std::string tools = R"([{"type": "function", "function": {"name": "f"}}])";
  const Json bare = Json::array({{{"name", "f"}}});
  EXPECT_EQ(Read("a.jsonl", record(call, bare)).documents, Strings{tools + chat});
  EXPECT_EQ(Read("a.jsonl", record(Json::array({call}), Json::parse(tools))).documents, Strings{tools + chat});
  EXPECT_EQ(Read("a.jsonl", record({{"name", "f"}, {"arguments", "{\"x\": 1}"}}, bare)).documents,
            Strings{tools + chat});
  EXPECT_ERROR(Read("a.jsonl", record({{"name", "f"}}, bare)),
               "conversations[1].value: [0]: key \"arguments\" is missing");
  EXPECT_ERROR(Read("a.jsonl", record({{"name", "f"}, {"arguments", 1}}, bare)), "arguments: found number");
  EXPECT_ERROR(Read("a.jsonl", record(call, {{"name", "f"}})), "tools: is the text of object, expected an array");

  // A template that knows nothing of them.
  std::ofstream(dir_ / "model" / "chat_template.jinja") << "{% for m in messages %}{{ m.content }}{% endfor %}";
  testing::internal::CaptureStderr();
  EXPECT_ERROR(Read("lost.jsonl", record(call, bare)), "lost.jsonl:1: messages[1] calls a tool, of which the chat");
  EXPECT_NE(testing::internal::GetCapturedStderr().find("makes nothing of tools"), std::string::npos);
  std::ofstream(dir_ / "model" / "chat_template.jinja") << "{% for m in messages if m.role != 'tool' %}"
                                                           "{{ m.content }}{{ m.tool_calls }}{% endfor %}";
  EXPECT_ERROR(Read("lost.jsonl", record(call, bare)), "messages[2] is the answer of a tool, of which");
}

TEST_F(TextSourceTest, RecordsAreDocumentsEachWithAnEndToken) {
  const std::string end = tokenizer_->Decode(std::vector<int32_t>{*tokenizer_->eos()}, false);
  const std::string lines = "{\"text\": \"one\", \"id\": 1}\r\n\n{\"id\": 2, \"text\": \"two\"}\n{\"text\": \"\"}";
  for (const char* name : {"a.jsonl", "a.ndjson", "a.JSONL", "a.json", "a.txt", "a"}) {
    const Texts texts = Read(name, lines);
    EXPECT_EQ(texts.documents, (Strings{"one", "two"})) << name;
    EXPECT_EQ(Describe(texts), "2 documents in field text, 1 empty ones left out");
    EXPECT_EQ(Rendered(texts), "one" + end + "two" + end);
  }
  EXPECT_EQ(Read("b.json", "[\n {\"text\": \"one\"}, {\"text\": \"two\"}\n]").documents, (Strings{"one", "two"}));
  EXPECT_EQ(Read("b.jsonl", "\"one\"\n\"two\"\n").documents, (Strings{"one", "two"}));
  EXPECT_EQ(Read("c.jsonl", "{\"body\": \"x\", \"text\": \"y\"}", "body").documents, Strings{"x"});
  // As text where that is asked for.
  TextSource source = Write("a.jsonl", lines);
  source.format = "text";
  EXPECT_EQ(ReadTexts(source, dir_ / "model", *tokenizer_).documents, Strings{lines});
  // A document that ends with an end token gets no second one.
  EXPECT_EQ(Rendered(Read("d.jsonl", Json({{"text", "one" + end}}).dump())), "one" + end);
}

TEST_F(TextSourceTest, ChatsAreWrittenByTheTemplate) {
  const std::string messages =
      R"([{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}])";
  const Texts texts = Read("a.jsonl", "{\"messages\": " + messages + "}\n");
  EXPECT_EQ(texts.kind, Texts::Kind::kChats);
  EXPECT_EQ(Rendered(texts), texts.documents[0]) << "no end token beside those of the template";
  EXPECT_EQ(Describe(texts), "1 chats in field messages");
  for (const char* part : {"S", "Hi", "Yo"}) EXPECT_NE(texts.documents[0].find(part), std::string::npos);
  const std::string expected = texts.documents[0];
  const auto same = [&](const std::string& record) { EXPECT_EQ(Read("b.jsonl", record).documents, Strings{expected}); };
  same(
      R"({"conversations": [{"from": "system", "value": "S"}, {"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yo"}]})");
  same(
      R"({"system": "S", "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yo"}], "tools": ""})");
  same(R"({"system": "", "tools": null, "conversations": )" + messages + "}");
  same(R"({"messages": [{"role": "system", "content": [{"type": "text", "text": "S"}]}, )"
       R"({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}]})");
  EXPECT_EQ(Read("c.jsonl", "{\"chosen\": " + messages + "}", "chosen").documents, Strings{expected});
  EXPECT_EQ(Read("d.jsonl", "{\"messages\": []}\n{\"messages\": " + messages + "}\n").left_out, 1);
}

TEST_F(TextSourceTest, RecordsThatCannotBeReadAreErrorsWithTheirLine) {
  const auto read = [&](const std::string& line, const std::string& field = "") {
    return Read("a.jsonl", "{\"text\": \"x\", \"body\": \"x\"}\n" + line, field);
  };
  EXPECT_ERROR(read("{\"id\": 1, \"prompt\": 2}"), "a.jsonl:2: has no field \"text\"; it has id, prompt");
  EXPECT_ERROR(read("{}", "body"), "a.jsonl:2: has no field \"body\"; it has none");
  EXPECT_ERROR(read("{\"text\": 1}"), "a.jsonl:2: text: found number, expected a text or a list of messages");
  EXPECT_ERROR(read("{\"text\": null}"), "a.jsonl:2: text: found null");
  EXPECT_ERROR(read("[1]"), "a.jsonl:2: found array, expected an object");
  EXPECT_ERROR(read("{\"text\": "), "a.jsonl:2: not valid JSON");
  EXPECT_ERROR(read("{\"text\": \"a\\u0000\"}"), "a.jsonl:2: holds a NUL");
  EXPECT_ERROR(read(R"({"text": [{"role": "user", "content": "x"}]})"),
               "a.jsonl:2: holds a chat, the records before it texts");
  EXPECT_ERROR(Read("a.json", "[{\"text\": \"x\"}, {\"id\": 1}]"), "a.json[2]: has no field \"text\"; it has id");
  EXPECT_ERROR(Read("a.json", "{\n\"data\": []\n}"), "a.json: holds one object; expected one on each line");
  EXPECT_ERROR(Read("a.jsonl", "{\"a\": 1}"), "has none of text, messages, conversations; it has a; name the one");
  EXPECT_ERROR(Read("a.jsonl", R"({"prompt": "q", "completion": "a"})"),
               "a.jsonl:1: holds a pair of prompt and completion");
  EXPECT_ERROR(Read("a.jsonl", R"({"instruction": "q", "input": "", "output": "a"})"),
               "a pair of instruction and output");
  EXPECT_ERROR(Read("a.jsonl", "{\"text\": \"\"}\n"), "a.jsonl: holds no text: 1 records, all empty");
  EXPECT_ERROR(Read("a.csv", "text,label\nx,1\n"), "a.csv: is a table; write the column with the texts as JSON lines");
  EXPECT_ERROR(Read("a.TSV", "text\tlabel\n"), "a.TSV: is a table");
  TextSource plain = Write("a.txt", "x", "text");
  plain.format = "text";
  EXPECT_ERROR(ReadTexts(plain, dir_ / "model", *tokenizer_), "is read as plain text, which has no field \"text\"");
}

TEST_F(TextSourceTest, ChatsThatWouldLoseSomethingAreErrors) {
  const auto read = [&](const std::string& record) { return Read("a.jsonl", record); };
  EXPECT_ERROR(read("{\"messages\": \"[]\"}"), "a.jsonl:1: messages: found string, expected a list of messages");
  EXPECT_ERROR(read("{\"messages\": [\"x\"]}"), "a.jsonl:1: messages[0]: found string, expected a message");
  EXPECT_ERROR(read(R"({"messages": [{"content": "x"}]})"), "messages[0]: key \"role\" is missing");
  EXPECT_ERROR(read(R"({"messages": [{"role": "user", "content": null}]})"), "messages[0]: has no content");
  EXPECT_ERROR(read(R"({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})"),
               "messages[0].content[0]: is of type image_url, which a text model cannot be given");
  EXPECT_ERROR(read(R"({"conversations": [{"from": "function_call", "value": "x"}]})"),
               "conversations[0].value: not valid JSON");
  EXPECT_ERROR(read(R"({"conversations": [{"from": "bing", "value": "x"}]})"),
               "conversations[0].from: \"bing\" is no speaker that is known");
  EXPECT_ERROR(read(R"({"system": "S", "messages": [{"role": "system", "content": "T"}]})"), "keep one");
  EXPECT_ERROR(read(R"({"tools": "x", "messages": [{"role": "user", "content": "T"}]})"), "tools: not valid JSON");
  EXPECT_ERROR(read(R"({"tools": {"x": 1}, "messages": [{"role": "user", "content": "T"}]})"),
               "tools: expected an array");
  std::ofstream(dir_ / "model" / "chat_template.jinja") << "{{ raise_exception('after you') }}";
  EXPECT_ERROR(read(R"({"messages": [{"role": "user", "content": "T"}]})"), "a.jsonl:1: ");
  EXPECT_ERROR(read(R"({"messages": [{"role": "user", "content": "T"}]})"), "after you");
  fs::remove(dir_ / "model" / "chat_template.jinja");
  fs::remove(dir_ / "model" / "tokenizer_config.json");
  EXPECT_ERROR(read(R"({"messages": [{"role": "user", "content": "T"}]})"),
               "has no chat template to write it out with");
}

TEST_F(TextSourceTest, LinesThatEndATextDoSoForEveryTokenizer) {
  const Texts texts = Read("a.txt", "one\n<|endoftext|>\ntwo <|endoftext|>\r\n<|endoftext|>\r\n\n<|endoftext|>");
  ASSERT_TRUE(tokenizer_->IdOf("<|endoftext|>"));
  EXPECT_EQ(Rendered(texts), texts.documents[0]) << "the tokenizer's own";
  std::string json = ReadJsonFile(dir_ / "model" / "tokenizer.json").dump();
  for (size_t at; (at = json.find("<|endoftext|>")) != std::string::npos;) json.replace(at, 13, "<|begin|>");
  std::ofstream(dir_ / "model" / "tokenizer.json") << json;
  std::string config = ReadJsonFile(dir_ / "model" / "tokenizer_config.json").dump();
  for (size_t at; (at = config.find("<|endoftext|>")) != std::string::npos;) config.replace(at, 13, "<|begin|>");
  std::ofstream(dir_ / "model" / "tokenizer_config.json") << config;
  tokenizer_ = Tokenizer::Open(dir_ / "model");
  const std::string end = tokenizer_->Decode(std::vector<int32_t>{*tokenizer_->eos()}, false);
  EXPECT_EQ(Rendered(texts), "one\n" + end + "two <|endoftext|>\r\n" + end + "\n" + end);
  EXPECT_EQ(Rendered(Read("b.txt", "one\n<|endoftext|>\n")), "one\n" + end);
  EXPECT_EQ(Rendered(Read("c.txt", "one <|endoftext|> two")), "one <|endoftext|> two");
  EXPECT_EQ(Rendered(Read("d.txt", "<|endoftext|>\n")), "");
}

TEST_F(TextSourceTest, OptionsStandBehindAColon) {
  const TextSource plain = ParseTextSource("a/b.txt");
  EXPECT_EQ(plain.path, "a/b.txt");
  EXPECT_EQ(plain.format, "auto");
  EXPECT_EQ(ParseTextSource("C:x.txt").path, "C:x.txt");
  const TextSource source = ParseTextSource("a:b.jsonl:field=body,weight=2.5,format=json");
  EXPECT_EQ(source.path, "a:b.jsonl");
  EXPECT_EQ(source.field, "body");
  EXPECT_EQ(source.format, "json");
  EXPECT_EQ(source.weight, 2.5);
  const std::string odd = Write("x:field=y", "text").path.string();
  EXPECT_EQ(ParseTextSource(odd).path, odd) << "a file that is there";
  EXPECT_ERROR(ParseTextSource("a:wight=2"), "a:wight=2: unknown option \"wight\" (did you mean weight?)");
  EXPECT_ERROR(ParseTextSource("a:field=x,weight"), "expected key=value behind the colon, found \"weight\"");
  EXPECT_ERROR(ParseTextSource("a:field="), "expected key=value behind the colon, found \"field=\"");
  EXPECT_ERROR(ParseTextSource("a:weight=2", true), "unknown option \"weight\" (known: field, format)");
  EXPECT_ERROR(ParseTextSource("a:format=csv"), "\"csv\" is no format");
  for (const char* weight : {"0", "-1", "x", "nan", "1e9", "2x"})
    EXPECT_ERROR(ParseTextSource(std::string("a:weight=") + weight), "expected a weight from");
}

}  // namespace
}  // namespace ecld
