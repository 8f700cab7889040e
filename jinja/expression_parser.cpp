#include "jinja/expression_parser.h"

#include <algorithm>
#include <array>

namespace ecld::jinja {
namespace {

constexpr int kMaxDepth = 200;

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

std::string ExpressionParser::Describe(const Token& token) {
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

bool ExpressionParser::EndsTuple(const char* end) const {
  return Peek().kind == Token::kTagEnd || Peek().kind == Token::kOutputEnd || Peek().Is(Token::kOperator, ")") ||
         (end && Peek().Is(Token::kName, end));
}

ExpressionPtr ExpressionParser::ParseTuple(bool condition, const char* end) {
  ExpressionPtr first = ParseExpression(condition);
  if (!Peek().Is(Token::kOperator, ",")) return first;
  ExpressionPtr tuple = Joined(Expression::kTuple, "", std::move(first), nullptr);
  while (TakeIf(Token::kOperator, ",") && !EndsTuple(end)) tuple->parts.push_back(ParseExpression(condition));
  return tuple;
}

ExpressionPtr ExpressionParser::ParseTarget(const char* end, bool attributes) {
  ExpressionPtr first = ParseTargetPart(end, attributes);
  if (!Peek().Is(Token::kOperator, ",")) return first;
  ExpressionPtr tuple = Joined(Expression::kTuple, "", std::move(first), nullptr);
  while (TakeIf(Token::kOperator, ",") && !EndsTuple(end)) tuple->parts.push_back(ParseTargetPart(end, attributes));
  return tuple;
}

ExpressionPtr ExpressionParser::ParseTargetPart(const char* end, bool attributes) {
  Level level(*this);
  if (TakeIf(Token::kOperator, "(")) {
    ExpressionPtr inner = ParseTarget(nullptr, false);
    Expect(Token::kOperator, ")");
    return inner;
  }
  if (end && Peek().Is(Token::kName, end)) Wrong(fmt::format("expected a name before \"{}\"", end));
  ExpressionPtr target = Make(Expression::kName, ExpectName());
  for (const char* constant : {"true", "false", "none", "True", "False", "None"})
    if (target->name == constant) Wrong(fmt::format("nothing can be assigned to \"{}\"", constant));
  names_loop_ = names_loop_ || target->name == "loop";
  if (!attributes || !TakeIf(Token::kOperator, ".")) return target;
  return Joined(Expression::kAttribute, ExpectName(), std::move(target), nullptr);
}

ExpressionPtr ExpressionParser::ParseExpression(bool condition) {
  Level level(*this);
  const size_t unknown = unknown_.size();
  ExpressionPtr value = ParseOr();
  while (condition && TakeIf(Token::kName, "if")) {
    ExpressionPtr guard = ParseOr();
    ExpressionPtr choice = Joined(Expression::kIf, "", std::move(guard), std::move(value));
    choice->parts.push_back(TakeIf(Token::kName, "else") ? ParseExpression() : nullptr);
    value = std::move(choice);
    unknown_.erase(unknown_.begin() + static_cast<ptrdiff_t>(unknown), unknown_.end());
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
  ExpressionPtr first = ParseBinary(0), comparison;
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
    if (name.empty()) return comparison ? std::move(comparison) : std::move(first);
    if (!comparison) comparison = Joined(Expression::kCompare, "", std::move(first), nullptr);
    comparison->operators.push_back(name);
    comparison->parts.push_back(ParseBinary(0));
  }
}

ExpressionPtr ExpressionParser::ParseBinary(size_t level) {
  // From loose to tight; ~ stands between the first two.
  static constexpr std::array<std::array<const char*, 4>, 3> kLevels = {
      {{"+", "-", nullptr, nullptr}, {"*", "/", "//", "%"}, {"**", nullptr, nullptr, nullptr}}};
  if (level == kLevels.size()) return ParseUnary(true);
  auto operand = [&] { return level == 0 ? ParseConcat() : ParseBinary(level + 1); };
  ExpressionPtr left = operand();
  for (;;) {
    const char* found = nullptr;
    for (const char* candidate : kLevels[level])
      if (candidate && !found && TakeIf(Token::kOperator, candidate)) found = candidate;
    if (!found) return left;
    left = Joined(Expression::kBinary, found, std::move(left), operand());
  }
}

ExpressionPtr ExpressionParser::ParseConcat() {
  ExpressionPtr first = ParseBinary(1);
  if (!Peek().Is(Token::kOperator, "~")) return first;
  ExpressionPtr all = Joined(Expression::kConcat, "", std::move(first), nullptr);
  while (TakeIf(Token::kOperator, "~")) all->parts.push_back(ParseBinary(1));
  return all;
}

ExpressionPtr ExpressionParser::ParseUnary(bool with_filter) {
  Level level(*this);
  ExpressionPtr value;
  if (TakeIf(Token::kOperator, "-"))
    value = Joined(Expression::kUnary, "-", ParseUnary(false), nullptr);
  else if (TakeIf(Token::kOperator, "+"))
    value = Joined(Expression::kUnary, "+", ParseUnary(false), nullptr);
  else
    value = ParsePrimary();
  value = ParsePostfix(std::move(value));
  return with_filter ? ParseFilters(std::move(value)) : std::move(value);
}

}  // namespace ecld::jinja
