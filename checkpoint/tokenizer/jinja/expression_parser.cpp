#include "checkpoint/tokenizer/jinja/expression_parser.h"

#include <algorithm>
#include <array>

#include "core/error.h"

namespace ecld::jinja {
namespace {

constexpr int kMaxDepth = 200;

std::string Describe(const Token& token) {
  switch (token.kind) {
    case Token::kText:
      return "text";
    case Token::kOutputBegin:
      return "{{";
    case Token::kOutputEnd:
      return "}}";
    case Token::kTagBegin:
      return "{%";
    case Token::kTagEnd:
      return "%}";
    case Token::kString:
      return "a string";
    case Token::kEnd:
      return "the end of the template";
    default:
      return fmt::format("\"{}\"", token.text);
  }
}

}  // namespace

ExpressionParser::Level::Level(ExpressionParser& parser) : parser_(parser) {
  if (++parser_.depth_ > kMaxDepth) parser_.Wrong(fmt::format("nested deeper than {} levels", kMaxDepth));
}

void ExpressionParser::Wrong(const std::string& message) const {
  throw Error(fmt::format("{}:{}", where_, Peek().line), message);
}

bool ExpressionParser::TakeIf(Token::Kind kind, const char* text) {
  if (!Peek().Is(kind, text)) return false;
  Take();
  return true;
}

void ExpressionParser::Expect(Token::Kind kind, const char* text) {
  if (!TakeIf(kind, text)) Wrong(fmt::format("expected \"{}\", found {}", text, Describe(Peek())));
}

std::string ExpressionParser::ExpectName() {
  if (Peek().kind != Token::kName) Wrong(fmt::format("expected a name, found {}", Describe(Peek())));
  return Take().text;
}

ExpressionPtr ExpressionParser::Make(Expression::Kind kind, std::string name) const {
  return std::make_unique<Expression>(Expression{.kind = kind, .line = Peek().line, .name = std::move(name)});
}

ExpressionPtr ExpressionParser::Joined(Expression::Kind kind, std::string name, ExpressionPtr left,
                                       ExpressionPtr right) const {
  ExpressionPtr joined = Make(kind, std::move(name));
  joined->line = left->line;
  joined->parts.push_back(std::move(left));
  if (right) joined->parts.push_back(std::move(right));
  return joined;
}

ExpressionPtr ExpressionParser::ParseTuple() {
  ExpressionPtr first = ParseExpression();
  if (!Peek().Is(Token::kOperator, ",")) return first;
  ExpressionPtr list = Joined(Expression::kList, "", std::move(first), nullptr);
  while (TakeIf(Token::kOperator, ",")) {
    if (Peek().kind == Token::kTagEnd || Peek().kind == Token::kOutputEnd || Peek().Is(Token::kOperator, ")")) break;
    list->parts.push_back(ParseExpression());
  }
  return list;
}

ExpressionPtr ExpressionParser::ParseExpression(bool condition) {
  Level level(*this);
  ExpressionPtr value = ParseOr();
  while (condition && TakeIf(Token::kName, "if")) {
    ExpressionPtr guard = ParseOr();
    ExpressionPtr choice = Joined(Expression::kIf, "", std::move(guard), std::move(value));
    choice->parts.push_back(TakeIf(Token::kName, "else") ? ParseExpression() : nullptr);
    value = std::move(choice);
  }
  return value;
}

ExpressionPtr ExpressionParser::ParseOr() {
  ExpressionPtr left = ParseAnd();
  while (TakeIf(Token::kName, "or")) left = Joined(Expression::kBinary, "or", std::move(left), ParseAnd());
  return left;
}

ExpressionPtr ExpressionParser::ParseAnd() {
  ExpressionPtr left = ParseNot();
  while (TakeIf(Token::kName, "and")) left = Joined(Expression::kBinary, "and", std::move(left), ParseNot());
  return left;
}

ExpressionPtr ExpressionParser::ParseNot() {
  Level level(*this);
  if (!TakeIf(Token::kName, "not")) return ParseCompare();
  return Joined(Expression::kUnary, "not", ParseNot(), nullptr);
}

ExpressionPtr ExpressionParser::ParseCompare() {
  ExpressionPtr left = ParseBinary(0);
  bool compared = false;
  for (;;) {
    std::string name;
    for (const char* candidate : {"==", "!=", "<", "<=", ">", ">="})
      if (name.empty() && TakeIf(Token::kOperator, candidate)) name = candidate;
    if (name.empty() && TakeIf(Token::kName, "in")) name = "in";
    if (name.empty() && Peek().Is(Token::kName, "not") && Peek(1).Is(Token::kName, "in")) {
      Take();
      Take();
      name = "not in";
    }
    if (name.empty()) return left;
    if (compared) Wrong("chained comparisons are not supported, expected \"and\" between them");
    compared = true;
    left = Joined(Expression::kBinary, name, std::move(left), ParseBinary(0));
  }
}

ExpressionPtr ExpressionParser::ParseBinary(size_t level) {
  // From loose to tight.
  static constexpr std::array<std::array<const char*, 4>, 3> kLevels = {
      {{"+", "-", nullptr, nullptr}, {"~", nullptr, nullptr, nullptr}, {"*", "/", "//", "%"}}};
  if (level == kLevels.size()) return ParseUnary(true);
  ExpressionPtr left = ParseBinary(level + 1);
  for (;;) {
    const char* found = nullptr;
    for (const char* candidate : kLevels[level])
      if (candidate && !found && TakeIf(Token::kOperator, candidate)) found = candidate;
    if (!found) return left;
    left = Joined(Expression::kBinary, found, std::move(left), ParseBinary(level + 1));
  }
}

ExpressionPtr ExpressionParser::ParseUnary(bool with_filter) {
  Level level(*this);
  ExpressionPtr value;
  if (TakeIf(Token::kOperator, "-"))
    value = Joined(Expression::kUnary, "-", ParseUnary(false), nullptr);
  else if (TakeIf(Token::kOperator, "+"))
    value = Joined(Expression::kUnary, "+", ParseUnary(false), nullptr);
  else
    value = ParsePostfix(ParsePrimary());
  return with_filter ? ParseFilters(std::move(value)) : std::move(value);
}

ExpressionPtr ExpressionParser::ParsePrimary() {
  ExpressionPtr value = Make(Expression::kLiteral);
  Token token = Take();
  if (token.kind == Token::kName) {
    if (token.text == "true" || token.text == "True")
      value->value = Value(true);
    else if (token.text == "false" || token.text == "False")
      value->value = Value(false);
    else if (token.text == "none" || token.text == "None")
      value->value = Value(None{});
    else
      *value = {.kind = Expression::kName, .line = token.line, .name = token.text};
  } else if (token.kind == Token::kString) {
    std::string text = token.text;
    while (Peek().kind == Token::kString) text += Take().text;  // adjacent strings are one
    value->value = Value(std::move(text));
  } else if (token.kind == Token::kInt) {
    value->value = Value(token.integer);
  } else if (token.kind == Token::kFloat) {
    value->value = Value(token.number);
  } else if (token.Is(Token::kOperator, "(")) {
    if (TakeIf(Token::kOperator, ")")) return Make(Expression::kList);
    value = ParseTuple();
    Expect(Token::kOperator, ")");
  } else if (token.Is(Token::kOperator, "[") || token.Is(Token::kOperator, "{")) {
    bool is_list = token.text == "[";
    const char* close = is_list ? "]" : "}";
    value->kind = is_list ? Expression::kList : Expression::kDict;
    while (!TakeIf(Token::kOperator, close)) {
      if (!value->parts.empty()) {
        Expect(Token::kOperator, ",");
        if (TakeIf(Token::kOperator, close)) break;
      }
      value->parts.push_back(ParseExpression());
      if (is_list) continue;
      Expect(Token::kOperator, ":");
      value->parts.push_back(ParseExpression());
    }
  } else {
    Wrong(fmt::format("expected a value, found {}", Describe(token)));
  }
  return value;
}

ExpressionPtr ExpressionParser::ParsePostfix(ExpressionPtr value) {
  for (;;) {
    if (TakeIf(Token::kOperator, ".")) {
      if (Peek().kind == Token::kInt) {
        ExpressionPtr index = Make(Expression::kLiteral);
        index->value = Value(Take().integer);
        value = Joined(Expression::kIndex, "", std::move(value), std::move(index));
      } else {
        value = Joined(Expression::kAttribute, ExpectName(), std::move(value), nullptr);
      }
    } else if (TakeIf(Token::kOperator, "[")) {
      value = ParseSubscript(std::move(value));
    } else if (TakeIf(Token::kOperator, "(")) {
      value = Joined(Expression::kCall, "", std::move(value), nullptr);
      ParseArguments(*value);
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::ParseSubscript(ExpressionPtr value) {
  ExpressionPtr bounds[3];
  bool is_slice = false;
  for (size_t i = 0; i < 3; ++i) {
    if (!Peek().Is(Token::kOperator, ":") && !Peek().Is(Token::kOperator, "]")) bounds[i] = ParseExpression();
    if (!TakeIf(Token::kOperator, ":")) break;
    is_slice = true;
  }
  Expect(Token::kOperator, "]");
  if (!is_slice && !bounds[0]) Wrong("expected an index between [ and ]");
  value = Joined(is_slice ? Expression::kSlice : Expression::kIndex, "", std::move(value), nullptr);
  for (size_t i = 0; i < (is_slice ? 3 : 1); ++i) value->parts.push_back(std::move(bounds[i]));
  return value;
}

void ExpressionParser::ParseArguments(Expression& call) {
  for (bool first = true; !TakeIf(Token::kOperator, ")"); first = false) {
    if (!first) {
      Expect(Token::kOperator, ",");
      if (TakeIf(Token::kOperator, ")")) return;
    }
    if (Peek().kind == Token::kName && Peek(1).Is(Token::kOperator, "=")) {
      std::string name = Take().text;
      Take();
      call.named.emplace_back(name, ParseExpression());
    } else {
      call.parts.push_back(ParseExpression());
    }
  }
}

ExpressionPtr ExpressionParser::ParseFilters(ExpressionPtr value) {
  for (;;) {
    if (TakeIf(Token::kOperator, "|")) {
      value = Joined(Expression::kFilter, ExpectName(), std::move(value), nullptr);
      if (TakeIf(Token::kOperator, "(")) ParseArguments(*value);
    } else if (TakeIf(Token::kName, "is")) {
      value = ParseTest(std::move(value));
    } else if (Peek().Is(Token::kOperator, "(")) {
      Take();
      value = Joined(Expression::kCall, "", std::move(value), nullptr);
      ParseArguments(*value);
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::ParseTest(ExpressionPtr value) {
  // Tests that take an argument, which may stand without parentheses.
  static constexpr std::string_view kWithArgument[] = {"eq", "equalto", "ne", "lt",     "le",
                                                       "gt", "ge",      "in", "sameas", "divisibleby"};
  bool negated = TakeIf(Token::kName, "not");
  std::string name = ExpectName();
  ExpressionPtr test = Joined(Expression::kTest, name, std::move(value), nullptr);
  if (TakeIf(Token::kOperator, "("))
    ParseArguments(*test);
  else if (std::find(std::begin(kWithArgument), std::end(kWithArgument), name) != std::end(kWithArgument))
    test->parts.push_back(ParsePostfix(ParsePrimary()));
  return negated ? Joined(Expression::kUnary, "not", std::move(test), nullptr) : std::move(test);
}

}  // namespace ecld::jinja
