#include "jinja/lexer.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "core/error.h"
#include "core/unicode.h"
#include "jinja/integer.h"
#include "jinja/text.h"

namespace ecld::jinja {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

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
      if (TakeRaw()) continue;
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

  size_t SkipSpace(size_t at) const {
    while (at < source_.size() && IsSpace(CharAt(source_, at).code)) at += CharAt(source_, at).size;
    return at;
  }

  // The end of "{% name %}" at source_[at], where that is what stands there; end_sign: what precedes its "%}".
  size_t MatchTag(size_t at, std::string_view name, char* end_sign) const {
    std::string_view rest(source_);
    if (!rest.substr(at).starts_with("{%")) return std::string::npos;
    at += 2;
    if (at < source_.size() && (source_[at] == '-' || source_[at] == '+')) ++at;
    at = SkipSpace(at);
    if (!rest.substr(at).starts_with(name)) return std::string::npos;
    at = SkipSpace(at + name.size());
    *end_sign = at < source_.size() && (source_[at] == '-' || source_[at] == '+') ? source_[at++] : ' ';
    return rest.substr(at).starts_with("%}") ? at + 2 : std::string::npos;
  }

  // {% raw %}...{% endraw %}, whose text is taken as it stands.
  bool TakeRaw() {
    char sign = ' ';
    size_t begin = MatchTag(at_, "raw", &sign);
    if (begin == std::string::npos || sign == '+') return false;
    Skip(sign == '-' ? SkipSpace(begin) : begin);
    line_starts_ = source_[at_ - 1] == '\n';
    for (size_t tag = at_; tag < source_.size(); ++tag) {
      size_t end = MatchTag(tag, "endraw", &sign);
      if (end == std::string::npos) continue;
      AddText(source_.substr(at_, tag - at_), tag);
      Skip(end);
      CloseBraces(sign, true);
      return true;
    }
    Wrong("\"raw\" is not closed with \"endraw\"");
  }

  // The text before the tag at source_[tag], cut as that tag asks.
  void AddText(std::string text, size_t tag) {
    size_t size = text.size();
    char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
    bool is_tag = tag < source_.size();
    if (is_tag && sign == '-') {
      text = Strip(text, nullptr, false, true);
    } else if (is_tag && sign != '+' && source_[tag + 1] != '{') {
      size_t line_start = text.rfind('\n') + 1;  // npos + 1 == 0
      bool starts_line = line_start > 0 || line_starts_;
      if (starts_line && Strip(text.substr(line_start), nullptr, true, false).empty()) text.resize(line_start);
    }
    if (!text.empty()) Add(Token::kText, text);
    Skip(at_ + size);
  }

  // After a closing brace: cuts the white space that follows.
  void CloseBraces(char sign, bool trims_newline) {
    size_t end = at_;
    if (sign == '-') {
      end = SkipSpace(end);
    } else if (sign != '+' && trims_newline && end < source_.size() && source_[end] == '\n') {
      ++end;
    }
    line_starts_ = end > at_ && source_[end - 1] == '\n';
    Skip(end);
  }

  void Comment() {
    if (at_ == source_.size()) return;  // Jinja lets a comment go that begins where the template ends
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
    std::string open;  // inside (), [] and {} a }} closes those
    for (;;) {
      Skip(SkipSpace(at_));
      if (at_ >= source_.size()) Wrong(fmt::format("not closed with {}", close));
      std::string_view rest = std::string_view(source_).substr(at_);
      char sign = rest[0] == '-' || (rest[0] == '+' && !output) ? rest[0] : ' ';
      if (open.empty() && rest.substr(sign == ' ' ? 0 : 1).starts_with(close)) {
        at_ += sign == ' ' ? 2 : 3;
        Add(output ? Token::kOutputEnd : Token::kTagEnd, "");
        CloseBraces(sign, !output);
        return;
      }
      NextToken(rest, open);
    }
  }

  void NextToken(std::string_view rest, std::string& open) {
    if (IsDigit(rest[0])) {
      Number(rest);
    } else if (IsWordCharacter(CharAt(rest, 0).code)) {
      size_t size = 0;
      while (size < rest.size() && IsWordCharacter(CharAt(rest, size).code)) size += CharAt(rest, size).size;
      bool known = false;
      if (!HasProperty(rest.substr(0, size), "isidentifier", &known))
        Wrong(fmt::format("\"{}\" is not a name", rest.substr(0, size)));
      Add(Token::kName, std::string(rest.substr(0, size)));
      at_ += size;
    } else if (rest[0] == '"' || rest[0] == '\'') {
      String(rest[0]);
    } else {
      Operator(rest, open);
    }
  }

  // The digits from text[at] on, of a number in this base; "_" may stand between two of them.
  static size_t Digits(std::string_view text, size_t at, int base) {
    auto digit = [&](size_t i) {
      if (i >= text.size()) return false;
      const char low = static_cast<char>(text[i] | 0x20);
      return base == 16 ? IsDigit(text[i]) || (low >= 'a' && low <= 'f') : text[i] >= '0' && text[i] < '0' + base;
    };
    while (digit(at) || (at < text.size() && text[at] == '_' && digit(at + 1))) ++at;
    return at;
  }

  void Number(std::string_view rest) {
    size_t size = Digits(rest, 0, 10);
    bool is_float = false;
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';  // "x.0.1" are two integers
    if (!after_dot && size + 1 < rest.size() && rest[size] == '.' && IsDigit(rest[size + 1])) {
      is_float = true;
      size = Digits(rest, size + 1, 10);
    }
    if (!after_dot && size < rest.size() && (rest[size] | 0x20) == 'e') {
      size_t digits = size + 1;
      if (digits < rest.size() && (rest[digits] == '-' || rest[digits] == '+')) ++digits;
      if (digits < rest.size() && IsDigit(rest[digits])) {
        is_float = true;
        size = Digits(rest, digits, 10);
      }
    }
    if (!is_float) size = IntegerSize(rest, size);
    std::string text(rest.substr(0, size));
    std::erase(text, '_');
    Add(is_float ? Token::kFloat : Token::kInt, text);
    if (is_float) {
      tokens_.back().number = Value(std::strtod(text.c_str(), nullptr));  // 1e999 is infinite, as in Python
    } else {
      auto value = ParseInteger(text, 0);
      if (!value) Wrong(fmt::format("the number {} is out of range", text));
      tokens_.back().number = *value;
    }
    at_ += size;
  }

  // Where the integer ends that starts with decimal_size decimal digits: it may be 0x1f, and 0 is not followed by
  // others.
  static size_t IntegerSize(std::string_view rest, size_t decimal_size) {
    if (rest[0] != '0' || rest.size() < 2) return decimal_size;
    const char letter = static_cast<char>(rest[1] | 0x20);
    const int base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    const size_t end = base == 0 ? 2 : Digits(rest, 2, base);
    if (end > 2) return end;
    return std::min(decimal_size, rest.find_first_not_of("0_"));
  }

  void Operator(std::string_view rest, std::string& open) {
    static constexpr std::string_view kOperators[] = {"==", "!=", "<=", ">=", "//", "**", "+", "-", "*",
                                                      "/",  "%",  "~",  "<",  ">",  "=",  "(", ")", "[",
                                                      "]",  "{",  "}",  ".",  ",",  ":",  "|"};
    for (std::string_view candidate : kOperators) {
      if (!rest.starts_with(candidate)) continue;
      static constexpr std::string_view kOpening = "([{", kClosing = ")]}";
      if (size_t pair = kOpening.find(candidate); pair != std::string_view::npos) open += kClosing[pair];
      if (kClosing.find(candidate) != std::string_view::npos) {
        if (open.empty()) Wrong(fmt::format("\"{}\" closes nothing", candidate));
        if (open.back() != candidate[0]) Wrong(fmt::format("expected \"{}\", found \"{}\"", open.back(), candidate));
        open.pop_back();
      }
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
    static constexpr std::string_view kLetters = "ntrbfav\\'\"", kMeaning = "\n\t\r\b\f\a\v\\'\"";
    char letter = source_[i];
    if (size_t known = kLetters.find(letter); known != std::string_view::npos) {
      value += kMeaning[known];
      return i;
    }
    if (letter == '\n') return i;  // a line that continues
    const bool octal = letter >= '0' && letter <= '7';
    size_t digits = octal ? 3 : letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
    if (digits == 0) {
      if (letter == 'N') Wrong("the escape \\N is not supported: write the character itself, or its \\u");
      (value += '\\') += letter;
      return i;
    }
    uint32_t code = 0;
    const char *first = source_.data() + (octal ? i : i + 1), *end = source_.data() + source_.size();
    const char* last = std::from_chars(first, std::min(first + digits, end), code, octal ? 8 : 16).ptr;
    if (!octal && last != first + digits) Wrong(fmt::format("the escape \\{} needs {} digits", letter, digits));
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
      Wrong(fmt::format("the escape \\{}{} is no character", letter, std::string_view(first, last)));
    AppendUtf8(code, value);
    return static_cast<size_t>(last - source_.data()) - 1;
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
