#include "checkpoint/tokenizer/json_tokenizer_file.h"

#include <functional>

#include "checkpoint/tokenizer/added_tokens.h"
#include "core/error.h"

namespace ecld {
namespace {

constexpr int kMaxDepth = 64;

// Called for each element while the file is parsed; an element for which it returns false is not kept as JSON.
class Collector {
 public:
  Collector(JsonTokenizerFile& file, const std::string& where) : file_(file), where_(where) {}

  bool operator()(int depth, Json::parse_event_t event, Json& value) {
    if (depth > kMaxDepth) Fail(where_, "JSON nested deeper than {} levels", kMaxDepth);
    using Event = Json::parse_event_t;
    if (event == Event::key && depth == 1) section_ = value.get<std::string>();
    if (event == Event::key && depth == 2) list_ = section_ == "model" ? value.get<std::string>() : "";
    if (section_ != "model" || depth < 3) return true;
    if (list_ == "vocab") return Vocab(depth, event, value);
    if (list_ == "merges") return Merges(depth, event, value);
    return true;
  }

 private:
  bool Vocab(int depth, Json::parse_event_t event, Json& value) {
    using Event = Json::parse_event_t;
    if (event == Event::key && depth == 3) {
      token_ = value.get<std::string>();
      has_key_ = true;
      return false;
    }
    if (!has_key_) return Piece(depth, event, value);
    has_key_ = false;
    bool is_id = event == Event::value && value.is_number_integer();
    int64_t id = is_id ? value.get<int64_t>() : -1;
    if (id < 0 || id > kMaxTokenId)
      Fail(fmt::format("{}: model.vocab[\"{}\"]", where_, token_), "expected a token id from 0 to {}", kMaxTokenId);
    file_.vocab.emplace_back(std::move(token_), static_cast<int32_t>(id));
    return true;  // its key was refused, so it is dropped with it
  }

  // [text, score]
  bool Piece(int depth, Json::parse_event_t event, Json& value) {
    using Event = Json::parse_event_t;
    const bool is_part = depth == 4 && event == Event::value && (value.is_string() || value.is_number());
    if (is_part || (depth == 3 && event == Event::array_start)) return true;
    const std::string where = fmt::format("{}: model.vocab[{}]", where_, file_.vocab.size());
    const bool is_pair =
        depth == 3 && event == Event::array_end && value.size() == 2 && value[0].is_string() && value[1].is_number();
    if (!is_pair) Fail(where, "expected a token and its score, [\"a\", -1.5]");
    if (file_.vocab.size() > static_cast<size_t>(kMaxTokenId)) Fail(where, "more than {} tokens", kMaxTokenId);
    file_.vocab.emplace_back(value[0].get<std::string>(), static_cast<int32_t>(file_.vocab.size()));
    file_.scores.push_back(value[1].get<double>());
    return false;
  }

  bool Merges(int depth, Json::parse_event_t event, Json& value) {
    using Event = Json::parse_event_t;
    auto where = [&] { return fmt::format("{}: model.merges[{}]", where_, file_.merges.size()); };
    if (depth == 3 && event == Event::value && value.is_string()) {
      const auto& text = value.get_ref<const std::string&>();
      size_t space = text.find(' ');
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
        Fail(where(), "expected two tokens with one space between them, found \"{}\"", text);
      file_.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
      return false;
    }
    if (depth == 3 && event == Event::array_end) {
      if (value.size() != 2) Fail(where(), "expected a pair of tokens, found {} elements", value.size());
      file_.merges.emplace_back(value[0].get<std::string>(), value[1].get<std::string>());
      return false;
    }
    bool part_of_pair = depth == 4 && event == Event::value && value.is_string();
    if (!part_of_pair && !(depth == 3 && event == Event::array_start))
      Fail(where(), "expected a string \"a b\" or a pair [\"a\", \"b\"]");
    return true;
  }

  JsonTokenizerFile& file_;
  const std::string& where_;
  std::string section_, list_, token_;
  bool has_key_ = false;  // token_ waits for its id
};

}  // namespace

JsonTokenizerFile ParseJsonTokenizer(std::string_view text, const std::string& where) {
  JsonTokenizerFile file;
  Collector collector(file, where);
  try {
    file.json = Json::parse(text, std::ref(collector));
  } catch (const nlohmann::json::exception& e) {
    Fail(where, "not valid JSON: {}", JsonProblem(e));
  }
  if (!file.json.is_object()) Fail(where, "expected an object, found {}", Shown(file.json));
  return file;
}

}  // namespace ecld
