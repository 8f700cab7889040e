// The part of the expression parser that reads what operators stand between: values, calls, filters and tests.

#include "jinja/expression_parser.h"
#include "jinja/library.h"

namespace ecld::jinja {

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
