#include "checkpoint/tokenizer/jinja/expression_parser.h"

#include <algorithm>
#include <array>

#include "checkpoint/tokenizer/jinja/library.h"

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

ExpressionPtr ExpressionParser::ParseName() {
  ExpressionPtr value = Make(Expression::kLiteral);
  const std::string name = Take().text;
  if (name == "true" || name == "True") {
    value->value = Value(true);
  } else if (name == "false" || name == "False") {
    value->value = Value(false);
  } else if (name == "none" || name == "None") {
    value->value = Value(None{});
  } else {
    value->kind = Expression::kName;
    value->name = name;
    reads_caller_ = reads_caller_ || name == "caller";
    reads_varargs_ = reads_varargs_ || name == "varargs";
    reads_kwargs_ = reads_kwargs_ || name == "kwargs";
  }
  return value;
}

ExpressionPtr ExpressionParser::ParsePrimary() {
  if (Peek().kind == Token::kName) return ParseName();
  ExpressionPtr value = Make(Expression::kLiteral);
  Token token = Take();
  if (token.kind == Token::kString) {
    std::string text = token.text;
    while (Peek().kind == Token::kString) text += Take().text;  // adjacent strings are one
    value->value = Value(std::move(text));
  } else if (token.kind == Token::kInt || token.kind == Token::kFloat) {
    value->value = token.number;
  } else if (token.Is(Token::kOperator, "(")) {
    if (TakeIf(Token::kOperator, ")")) return Make(Expression::kTuple);
    value = ParseTuple();
    Expect(Token::kOperator, ")");
  } else if (token.Is(Token::kOperator, "[") || token.Is(Token::kOperator, "{")) {
    return ParseBrackets(token.text == "[");
  } else {
    Wrong(fmt::format("expected a value, found {}", Describe(token)));
  }
  return value;
}

ExpressionPtr ExpressionParser::ParseBrackets(bool is_list) {
  ExpressionPtr value = Make(is_list ? Expression::kList : Expression::kDict);
  const char* close = is_list ? "]" : "}";
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
  return value;
}

ExpressionPtr ExpressionParser::ParsePostfix(ExpressionPtr value) {
  for (;;) {
    if (TakeIf(Token::kOperator, ".")) {
      if (Peek().kind == Token::kInt) {
        ExpressionPtr index = Make(Expression::kLiteral);
        index->value = Take().number;
        value = Joined(Expression::kIndex, "", std::move(value), std::move(index));
      } else {
        value = Joined(Expression::kAttribute, ExpectName(), std::move(value), nullptr);
      }
    } else if (TakeIf(Token::kOperator, "[")) {
      value = ParseSubscript(std::move(value));
    } else if (Peek().Is(Token::kOperator, "(")) {
      value = Joined(Expression::kCall, "", std::move(value), nullptr);
      value->line = Peek().line;
      Take();
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
  if (!is_slice && bounds[0] && Peek().Is(Token::kOperator, ",")) {
    bounds[0] = Joined(Expression::kTuple, "", std::move(bounds[0]), nullptr);
    while (TakeIf(Token::kOperator, ",")) bounds[0]->parts.push_back(ParseExpression());
  }
  Expect(Token::kOperator, "]");
  if (!is_slice && !bounds[0]) bounds[0] = Make(Expression::kTuple);
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
    ParseArgument(call);
  }
}

void ExpressionParser::ParseArgument(Expression& call) {
  auto require = [&](bool in_order) {
    if (!in_order) Wrong("the arguments of a call stand in this order: values, *values, names with values, **names");
  };
  if (TakeIf(Token::kOperator, "*")) {
    require(!call.spread && !call.spread_named);
    call.spread = ParseExpression();
  } else if (TakeIf(Token::kOperator, "**")) {
    require(!call.spread_named);
    call.spread_named = ParseExpression();
  } else if (Peek().kind == Token::kName && Peek(1).Is(Token::kOperator, "=")) {
    require(!call.spread_named);
    std::string name = Take().text;
    Take();
    for (const auto& [known, unused] : call.named)
      if (known == name) Wrong(fmt::format("the argument \"{}\" is given twice", name));
    call.named.emplace_back(name, ParseExpression());
  } else {
    require(!call.spread && !call.spread_named && call.named.empty());
    call.parts.push_back(ParseExpression());
  }
}

std::string ExpressionParser::DottedName() {
  std::string name = ExpectName();
  while (TakeIf(Token::kOperator, ".")) name += "." + ExpectName();
  return name;
}

void ExpressionParser::RequireKnown(const char* what, bool known, const std::string& message) {
  if (!known && !inside_if_)
    unknown_.emplace_back(fmt::format("{}:{}", where_, Peek().line), fmt::format("{} {}", what, message));
}

ExpressionPtr ExpressionParser::ParseFilter(ExpressionPtr value) {
  const int line = Peek().line;
  const std::string name = DottedName();
  RequireKnown("filter", HasFilter(name), UnknownFilter(name));
  value = Joined(Expression::kFilter, name, std::move(value), nullptr);
  value->line = line;
  if (TakeIf(Token::kOperator, "(")) ParseArguments(*value);
  return value;
}

ExpressionPtr ExpressionParser::ParseBlockFilters(bool first_is_bare) {
  ExpressionPtr value;
  if (first_is_bare) value = ParseFilter(Make(Expression::kBlockText));
  while (TakeIf(Token::kOperator, "|")) value = ParseFilter(value ? std::move(value) : Make(Expression::kBlockText));
  return value;
}

ExpressionPtr ExpressionParser::ParseFilters(ExpressionPtr value) {
  for (;;) {
    if (TakeIf(Token::kOperator, "|"))
      value = ParseFilter(std::move(value));
    else if (TakeIf(Token::kName, "is"))
      value = ParseTest(std::move(value));
    else if (Peek().Is(Token::kOperator, "("))
      value = ParsePostfix(std::move(value));
    else
      return value;
  }
}

ExpressionPtr ExpressionParser::ParseTest(ExpressionPtr value) {
  bool negated = TakeIf(Token::kName, "not");
  const int line = Peek().line;
  const std::string name = DottedName();
  RequireKnown("test", HasTest(name), UnknownTest(name));
  ExpressionPtr test = Joined(Expression::kTest, name, std::move(value), nullptr);
  test->line = line;
  // An argument may stand without parentheses: whatever starts a value, but for the words that go on after a test.
  const Token& next = Peek();
  const bool starts_value = next.kind == Token::kName || next.kind == Token::kString || next.kind == Token::kInt ||
                            next.kind == Token::kFloat || next.Is(Token::kOperator, "[") ||
                            next.Is(Token::kOperator, "{");
  const bool goes_on = next.Is(Token::kName, "else") || next.Is(Token::kName, "or") || next.Is(Token::kName, "and");
  if (next.Is(Token::kName, "is")) Wrong("a test cannot follow a test: put the first in parentheses");
  if (TakeIf(Token::kOperator, "("))
    ParseArguments(*test);
  else if (starts_value && !goes_on)
    test->parts.push_back(ParsePostfix(ParsePrimary()));
  return negated ? Joined(Expression::kUnary, "not", std::move(test), nullptr) : std::move(test);
}

}  // namespace ecld::jinja
