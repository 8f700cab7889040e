#include "checkpoint/tokenizer/text_source.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "checkpoint/tokenizer/chat_records.h"
#include "checkpoint/tokenizer/chat_template.h"
#include "checkpoint/tokenizer/text_structure.h"
#include "core/ascii.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_lines.h"
#include "core/log.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEndOfText = "<|endoftext|>";

bool IsJson(const TextSource& source, std::string_view text) {
  if (source.format != "auto") return source.format == "json";
  const std::string extension = AsciiLower(source.path.extension().string());
  if (!source.field.empty() || extension == ".jsonl" || extension == ".ndjson" || extension == ".json") return true;
  if (!HoldsJsonRecords(text)) return false;
  LogInfo("{}: holds JSON, so each record is a document; format=text takes the file as it is", source.path.string());
  return true;
}

// Turns records into documents.
class RecordReader {
 public:
  RecordReader(const TextSource& source, const fs::path& model, const Json& special_tokens, Texts* texts)
      : file_(source.path.string()),
        field_(source.field),
        field_is_named_(!source.field.empty()),
        model_(model),
        special_tokens_(special_tokens),
        texts_(*texts) {}

  void Read(const Json& record, const std::string& where) {
    if (record.is_string() && field_.empty()) return Add(record.get<std::string>(), Texts::Kind::kDocuments, where);
    if (!record.is_object()) Fail(where, "found {}, expected an object with the text in a field", record.type_name());
    if (field_.empty()) field_ = FieldOf(record, where);
    const auto found = record.find(field_);
    if (found == record.end()) Fail(where, "has no field \"{}\"; {}", field_, FieldsOf(record));
    if (!field_is_named_) TellOfRivals(record);
    const bool named_chat = field_ == "messages" || field_ == "conversations";
    if (found->is_string() && !named_chat) return Add(found->get<std::string>(), Texts::Kind::kDocuments, where);
    if (!found->is_array())
      Fail(where, "{}: found {}, expected {}a list of messages", field_, found->type_name(),
           named_chat ? "" : "a text or ");
    if (found->empty()) {
      ++texts_.left_out;
      return;
    }
    if (!template_) template_ = ChatTemplate::Open(model_, special_tokens_);
    if (!template_)
      Fail(where, "{} holds a chat, and {} has no chat template to write it out with", field_, model_.string());
    const Chat chat = ReadChat(record, field_, where);
    Add(Rendered(chat, where), Texts::Kind::kChats, where);
  }

  const std::string& field() const { return field_; }

 private:
  std::string Rendered(const Chat& chat, const std::string& where) {
    const std::string text = Render(chat, where);
    RequireWritten(chat, text, where);
    return text;
  }

  // A template may refuse a chat, like one that does not begin with the user.
  std::string Render(const Chat& chat, const std::string& where) const {
    try {
      return template_->Apply(chat.messages, false, chat.variables);
    } catch (const Error& error) {
      throw Error(where, error.what());
    }
  }

  // Many templates know nothing of tools, and pass over what they do not know.
  void RequireWritten(const Chat& chat, const std::string& text, const std::string& where) {
    Chat without = chat;
    without.variables.erase("tools");
    if (chat.variables.contains("tools") && Render(without, where) == text)
      WarnOnce(file_,
               fmt::format("the chat template of {} makes nothing of tools: they are left out", model_.string()));
    for (size_t i = 0; i < chat.messages.size(); ++i) {
      const Json& message = chat.messages[i];
      const bool calls = message.contains("tool_calls") && !message["tool_calls"].empty();
      const bool answers = message["role"] == "tool" && message.value("content", "") != "";
      if (!calls && !answers) continue;
      Chat other = chat;
      if (answers) other.messages[i]["content"] = "";
      if (calls) other.messages[i].erase("tool_calls");
      if (Render(other, where) == text)
        Fail(where, "messages[{}] {}, of which the chat template of {} writes nothing", i,
             calls ? "calls a tool" : "is the answer of a tool", model_.string());
    }
  }

  // Other fields that hold a text or a chat: which one was meant only the user knows.
  void TellOfRivals(const Json& record) const {
    for (const char* rival : {"messages", "conversations", "prompt", "completion", "instruction"}) {
      // The prompt of a chat is the beginning of it.
      const bool within = field_ != "text" && rival != std::string_view("conversations");
      const auto found = record.find(rival);
      if (rival == field_ || within || found == record.end() || found->is_null() || found->empty() || *found == "")
        continue;
      WarnOnce(file_, fmt::format("has records with {} beside {}; {} is taken (field=NAME names another)", rival,
                                  field_, field_));
    }
  }

  static std::string FieldsOf(const Json& record) {
    std::vector<std::string> fields;
    for (const auto& [key, unused] : record.items()) fields.push_back(key);
    return fields.empty() ? "it has none" : fmt::format("it has {}", fmt::join(fields, ", "));
  }

  static std::string FieldOf(const Json& record, const std::string& where) {
    for (const char* field : {"text", "messages", "conversations"})
      if (record.contains(field)) return field;
    for (const auto& [prompt, answer] : {std::pair("prompt", "completion"), std::pair("instruction", "output"),
                                         std::pair("question", "answer"), std::pair("prompt", "response")})
      if (record.contains(prompt) && record.contains(answer))
        Fail(where,
             "holds a pair of {} and {}; how they are put together only you know: write them as messages, or as "
             "one text",
             prompt, answer);
    Fail(where, "has none of text, messages, conversations; {}; name the one that holds the text: field=NAME",
         FieldsOf(record));
  }

  void Add(std::string text, Texts::Kind kind, const std::string& where) {
    if (text.find('\0') != std::string::npos) Fail(where, "holds a NUL, which no text has");
    if (text.empty()) {
      ++texts_.left_out;
      return;
    }
    if (!texts_.documents.empty() && texts_.kind != kind)
      Fail(where, "holds {}, the records before it {}; put them into two files",
           kind == Texts::Kind::kChats ? "a chat" : "a text", kind == Texts::Kind::kChats ? "texts" : "chats");
    texts_.kind = kind;
    texts_.documents.push_back(std::move(text));
  }

  std::string file_, field_;
  bool field_is_named_;  // by the user
  const fs::path& model_;
  const Json& special_tokens_;
  Texts& texts_;
  std::optional<ChatTemplate> template_;
};

Texts ReadRecords(const TextSource& source, std::string_view text, const fs::path& model, const Json& special_tokens) {
  Texts texts{.kind = Texts::Kind::kDocuments};
  if (!IsJsonArray(text) && !HoldsJsonRecords(text) && Json::accept(text) && ParseJson(text, "").is_object())
    Fail(source.path.string(), "holds one object; expected one on each line, or an array of them");
  RecordReader reader(source, model, special_tokens, &texts);
  const auto read = IsJsonArray(text) ? ReadJsonArray : ReadJsonLines;
  read(text, source.path.string(),
       [&](const Json& record, int64_t, const std::string& where) { reader.Read(record, where); });
  texts.field = reader.field();
  if (texts.documents.empty()) Fail(source.path.string(), "holds no text: {} records, all empty", texts.left_out);
  return texts;
}

// The stretches between lines that are kEndOfText.
std::vector<std::string_view> SplitDocuments(std::string_view text) {
  std::vector<std::string_view> documents;
  size_t begin = 0;
  const auto finish = [&](size_t end) {
    if (end > begin) documents.push_back(text.substr(begin, end - begin));
  };
  for (size_t at = text.find(kEndOfText); at != std::string_view::npos; at = text.find(kEndOfText, at + 1)) {
    const std::string_view rest = text.substr(at + kEndOfText.size());
    const bool ends_line = rest.empty() || rest.starts_with('\n') || rest.starts_with("\r\n");
    if ((at > 0 && text[at - 1] != '\n') || !ends_line) continue;
    finish(at);
    begin = text.size() - rest.size() + std::min(rest.find('\n') + 1, rest.size());
  }
  finish(text.size());
  return documents;
}

}  // namespace

TextSource ParseTextSource(const std::string& argument, bool one) {
  const size_t colon = argument.rfind(':');
  std::error_code ignored;
  if (colon == std::string::npos || argument.find('=', colon) == std::string::npos || fs::exists(argument, ignored))
    return TextSource(argument);
  TextSource source(argument.substr(0, colon));
  std::string_view options = std::string_view(argument).substr(colon + 1);
  while (!options.empty()) {
    const std::string_view option = options.substr(0, options.find(','));
    options.remove_prefix(std::min(option.size() + 1, options.size()));
    const size_t equals = std::min(option.find('='), option.size());
    const std::string key(option.substr(0, equals)), value(option.substr(std::min(equals + 1, option.size())));
    if (value.empty()) Fail(argument, "expected key=value behind the colon, found \"{}\"", option);
    if (key == "field") {
      source.field = value;
    } else if (key == "format") {
      if (std::ranges::find(kTextFormats, value) == kTextFormats.end())
        Fail(argument, "\"{}\" is no format{}", value, DidYouMean(value, kTextFormats));
      source.format = value;
    } else if (key == "weight" && !one) {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), source.weight);
      if (error != std::errc() || end != value.data() + value.size() ||
          !(source.weight >= kLeastWeight && source.weight <= kMostWeight))
        Fail(argument, "expected a weight from {} to {}, found \"{}\"", kLeastWeight, kMostWeight, value);
    } else {
      std::vector<std::string> known = {"field", "format"};
      if (!one) known.push_back("weight");
      Fail(argument, "unknown option \"{}\"{}", key, DidYouMean(key, known));
    }
  }
  return source;
}

Texts ReadTexts(const TextSource& source, const fs::path& model, const Tokenizer& tokenizer) {
  return ParseTexts(ReadTextFile(source.path), source, model, tokenizer.special_tokens());
}

Texts ParseTexts(std::string text, const TextSource& source, const fs::path& model, const Json& special_tokens) {
  const std::string where = source.path.string();
  if (text.empty()) Fail(where, "is empty; there is no text in it");
  if (IsJson(source, text)) return ReadRecords(source, text, model, special_tokens);
  if (!source.field.empty()) Fail(where, "is read as plain text, which has no field \"{}\"", source.field);
  const std::string extension = AsciiLower(source.path.extension().string());
  if (source.format == "auto") {
    if (extension == ".csv" || extension == ".tsv")
      Fail(where, "is a table; write the column with the texts as JSON lines, or say format=text to take it as it is");
    if (const std::string_view form = StructureOf(text); !form.empty())
      WarnOnce(where, fmt::format("seems to be {}, and is taken as text as it stands (format=text says it is meant so)",
                                  form));
  }
  return {.documents = {std::move(text)}};
}

std::vector<int32_t> Encode(const Texts& texts, const Tokenizer& tokenizer, bool add_special,
                            const std::string& where) {
  std::vector<std::string_view> documents(texts.documents.begin(), texts.documents.end());
  bool ends = texts.kind == Texts::Kind::kDocuments;
  if (texts.kind == Texts::Kind::kPlain && !tokenizer.IdOf(kEndOfText)) {
    const size_t size = documents.front().size();
    documents = SplitDocuments(documents.front());
    ends = documents.empty() || documents.front().size() < size;
    if (ends)
      LogInfo("{}: {} documents between lines {}, which this tokenizer does not know", where, documents.size(),
              kEndOfText);
  }
  const std::optional<int32_t> end = tokenizer.eos();
  if (ends && !end)
    LogWarning("{}: the tokenizer names no end token, so documents follow each other without one", where);
  std::vector<int32_t> ids;
  for (const std::string_view document : documents) {
    const std::vector<int32_t> more = tokenizer.Encode(document, add_special && texts.kind != Texts::Kind::kChats);
    ids.insert(ids.end(), more.begin(), more.end());
    if (ends && end && (ids.empty() || ids.back() != *end)) ids.push_back(*end);
  }
  return ids;
}

std::string Describe(const Texts& texts) {
  if (texts.kind == Texts::Kind::kPlain) return "text";
  const char* what = texts.kind == Texts::Kind::kChats ? "chats" : "documents";
  std::string description = fmt::format("{} {}", texts.documents.size(), what);
  if (!texts.field.empty()) description += " in field " + texts.field;
  if (texts.left_out > 0) description += fmt::format(", {} empty ones left out", texts.left_out);
  return description;
}

}  // namespace ecld
