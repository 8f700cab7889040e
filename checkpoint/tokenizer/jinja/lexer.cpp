#include "checkpoint/tokenizer/jinja/lexer.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "checkpoint/tokenizer/utf8.h"
#include "core/error.h"

namespace ecld::jinja {
namespace {

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

class Lexer {
 public:
  Lexer(const std::string& source, const std::string& where) : where_(where) {
    for (size_t i = 0; i < source.size(); ++i) {  // all line ends become \n
      if (source[i] == '\r') {
        source_ += '\n';
        if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
      } else {
        source_ += source[i];
      }
    }
    if (source_.ends_with('\n')) source_.pop_back();
  }

  std::vector<Token> Run() {
    while (at_ < source_.size()) {
      size_t tag = FindTag();
      AddText(source_.substr(at_, tag - at_), tag);
      at_ = tag;
      if (at_ == source_.size()) break;
      char kind = source_[at_ + 1];
      at_ += 2;
      if (at_ < source_.size() && (source_[at_] == '-' || source_[at_] == '+')) ++at_;
      if (kind == '#')
        Comment();
      else
        Braces(kind == '{' ? Token::kOutputBegin : Token::kTagBegin);
    }
    Add(Token::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void Wrong(const std::string& message) const {
    throw Error(fmt::format("{}:{}", where_, line_), message);
  }

  void Add(Token::Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  void Skip(size_t end) {  // moves on to end, counting lines
    line_ += static_cast<int>(
        std::count(source_.begin() + static_cast<ptrdiff_t>(at_), source_.begin() + static_cast<ptrdiff_t>(end), '\n'));
    at_ = end;
  }

  size_t FindTag() const {
    for (size_t i = at_; i + 1 < source_.size(); ++i)
      if (source_[i] == '{' && (source_[i + 1] == '{' || source_[i + 1] == '%' || source_[i + 1] == '#')) return i;
    return source_.size();
  }

  // The text before the tag at source_[tag], cut as that tag asks.
  void AddText(std::string text, size_t tag) {
    size_t size = text.size();
    char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
    bool is_tag = tag < source_.size();
    if (is_tag && sign == '-') {
      while (!text.empty() && IsSpace(text.back())) text.pop_back();
    } else if (is_tag && sign != '+' && source_[tag + 1] != '{') {
      size_t line_start = text.rfind('\n') + 1;  // npos + 1 == 0
      bool starts_line = line_start > 0 || line_starts_;
      if (starts_line && std::all_of(text.begin() + static_cast<ptrdiff_t>(line_start), text.end(), IsSpace))
        text.resize(line_start);
    }
    if (!text.empty()) Add(Token::kText, text);
    Skip(at_ + size);
  }

  // After a closing brace: cuts the white space that follows.
  void CloseBraces(char sign, bool trims_newline) {
    size_t end = at_;
    if (sign == '-') {
      while (end < source_.size() && IsSpace(source_[end])) ++end;
    } else if (sign != '+' && trims_newline && end < source_.size() && source_[end] == '\n') {
      ++end;
    }
    line_starts_ = end > at_ && source_[end - 1] == '\n';
    Skip(end);
  }

  void Comment() {
    size_t end = source_.find("#}", at_);
    if (end == std::string::npos) Wrong("the comment is not closed with #}");
    char sign = end > at_ ? source_[end - 1] : ' ';
    Skip(end + 2);
    CloseBraces(sign, true);
  }

  void Braces(Token::Kind begin) {
    bool output = begin == Token::kOutputBegin;
    std::string_view close = output ? "}}" : "%}";
    Add(begin, "");
    int open = 0;  // inside (), [] and {} a }} closes those
    for (;;) {
      while (at_ < source_.size() && IsSpace(source_[at_])) Skip(at_ + 1);
      if (at_ >= source_.size()) Wrong(fmt::format("not closed with {}", close));
      std::string_view rest = std::string_view(source_).substr(at_);
      char sign = rest[0] == '-' || rest[0] == '+' ? rest[0] : ' ';
      if (open == 0 && rest.substr(sign == ' ' ? 0 : 1).starts_with(close)) {
        at_ += sign == ' ' ? 2 : 3;
        Add(output ? Token::kOutputEnd : Token::kTagEnd, "");
        CloseBraces(sign, !output);
        return;
      }
      NextToken(rest, open);
    }
  }

  void NextToken(std::string_view rest, int& open) {
    if (IsNameStart(rest[0])) {
      size_t size = 1;
      while (size < rest.size() && (IsNameStart(rest[size]) || IsDigit(rest[size]))) ++size;
      Add(Token::kName, std::string(rest.substr(0, size)));
      at_ += size;
    } else if (IsDigit(rest[0])) {
      Number(rest);
    } else if (rest[0] == '"' || rest[0] == '\'') {
      String(rest[0]);
    } else {
      Operator(rest, open);
    }
  }

  void Number(std::string_view rest) {
    size_t size = 1;
    bool is_float = false;
    while (size < rest.size() && IsDigit(rest[size])) ++size;
    if (size + 1 < rest.size() && rest[size] == '.' && IsDigit(rest[size + 1])) {
      is_float = true;
      for (++size; size < rest.size() && IsDigit(rest[size]);) ++size;
    }
    if (size < rest.size() && (rest[size] == 'e' || rest[size] == 'E')) {
      size_t digits = size + 1;
      if (digits < rest.size() && (rest[digits] == '-' || rest[digits] == '+')) ++digits;
      if (digits < rest.size() && IsDigit(rest[digits])) {
        is_float = true;
        for (size = digits; size < rest.size() && IsDigit(rest[size]);) ++size;
      }
    }
    Add(is_float ? Token::kFloat : Token::kInt, std::string(rest.substr(0, size)));
    Token& token = tokens_.back();
    auto result = is_float ? std::from_chars(rest.data(), rest.data() + size, token.number)
                           : std::from_chars(rest.data(), rest.data() + size, token.integer);
    if (result.ec != std::errc()) Wrong(fmt::format("the number {} is out of range", token.text));
    at_ += size;
  }

  void Operator(std::string_view rest, int& open) {
    static constexpr std::string_view kOperators[] = {"==", "!=", "<=", ">=", "//", "+", "-", "*", "/", "%", "~", "<",
                                                      ">",  "=",  "(",  ")",  "[",  "]", "{", "}", ".", ",", ":", "|"};
    for (std::string_view candidate : kOperators) {
      if (!rest.starts_with(candidate)) continue;
      if (candidate == "(" || candidate == "[" || candidate == "{") ++open;
      if (candidate == ")" || candidate == "]" || candidate == "}") --open;
      if (open < 0) Wrong(fmt::format("\"{}\" closes nothing", candidate));
      Add(Token::kOperator, std::string(candidate));
      at_ += candidate.size();
      return;
    }
    Wrong(fmt::format("unexpected character \"{}\"", rest.substr(0, CharAt(rest, 0).size)));
  }

  void String(char quote) {
    std::string value;
    Token token{Token::kString, "", line_};
    for (size_t i = at_ + 1;; ++i) {
      if (i >= source_.size()) Wrong("the string is not closed");
      if (source_[i] == quote) {
        Skip(i + 1);
        break;
      }
      if (source_[i] == '\\' && i + 1 < source_.size())
        i = Escape(i + 1, value);
      else
        value += source_[i];
    }
    token.text = std::move(value);
    tokens_.push_back(std::move(token));
  }

  // The escape whose letter is source_[i]; returns the index of its last character. As in Python, an unknown one
  // stays as written.
  size_t Escape(size_t i, std::string& value) const {
    static constexpr std::string_view kLetters = "ntrbfav0\\'\"", kMeaning("\n\t\r\b\f\a\v\0\\'\"", 11);
    char letter = source_[i];
    if (size_t known = kLetters.find(letter); known != std::string_view::npos) {
      value += kMeaning[known];
      return i;
    }
    size_t digits = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
    uint32_t code = 0;
    const char* first = source_.data() + i + 1;
    bool enough = digits > 0 && i + digits < source_.size();
    if (letter == '\n') return i;  // a line that continues
    if (!enough || std::from_chars(first, first + digits, code, 16).ptr != first + digits || code > 0x10ffff) {
      (value += '\\') += letter;
      return i;
    }
    AppendUtf8(code, value);
    return i + digits;
  }

  const std::string& where_;
  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starts_ = true;  // the text that comes next starts a line
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> Tokenize(const std::string& source, const std::string& where) { return Lexer(source, where).Run(); }

}  // namespace ecld::jinja
