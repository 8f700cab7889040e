#pragma once
// The part of the parser that reads expressions; the statement parser stands on it.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "jinja/ast.h"
#include "jinja/lexer.h"

namespace ecld::jinja {

class ExpressionParser {
 public:
  ExpressionParser(std::vector<Token> tokens, const std::string& where) : where_(where), tokens_(std::move(tokens)) {}

 protected:
  // With condition: "a if b else c" is taken too (not after "for x in", where "if" filters).
  ExpressionPtr ParseExpression(bool condition = true);
  // "a, b" is a tuple. end: a name that ends it.
  ExpressionPtr ParseTuple(bool condition = true, const char* end = nullptr);
  // What can be assigned to: names and tuples of them, attributes of names as well for "set". end: as above.
  ExpressionPtr ParseTarget(const char* end, bool attributes);
  // The filters that follow: "| a | b(1)" (or "a | b(1)") of what a block prints; null when there are none.
  ExpressionPtr ParseBlockFilters(bool first_is_bare);
  ExpressionPtr ParsePostfix(ExpressionPtr value);
  ExpressionPtr Make(Expression::Kind kind, std::string name = "") const;

  const Token& Peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  Token Take() { return at_ + 1 < tokens_.size() ? tokens_[at_++] : tokens_.back(); }
  bool TakeIf(Token::Kind kind, const char* text);
  void Expect(Token::Kind kind, const char* text);
  std::string ExpectName();
  static std::string Describe(const Token& token);
  [[noreturn]] void Wrong(const std::string& message) const;

  // Recursion on hostile input ends here. One per nesting construct, alive while inside.
  class Level {
   public:
    explicit Level(ExpressionParser& parser);
    ~Level() { --parser_.depth_; }

   private:
    ExpressionParser& parser_;
  };

  const std::string& where_;
  // Filters and tests that do not exist: an error, except inside "if", where Jinja has it only when they are reached.
  std::vector<Error> unknown_;
  bool inside_if_ = false;
  bool names_loop_ = false;  // a target was called "loop"
  // Of the macro whose body is read: whether it reads these names.
  bool reads_caller_ = false, reads_varargs_ = false, reads_kwargs_ = false;

 private:
  ExpressionPtr ParseOr();
  ExpressionPtr ParseAnd();
  ExpressionPtr ParseNot();
  ExpressionPtr ParseCompare();
  ExpressionPtr ParseBinary(size_t level);
  ExpressionPtr ParseConcat();
  ExpressionPtr ParseUnary(bool with_filter);
  ExpressionPtr ParsePrimary();
  ExpressionPtr ParseName();
  ExpressionPtr ParseBrackets(bool is_list);
  ExpressionPtr ParseFilters(ExpressionPtr value);
  ExpressionPtr ParseFilter(ExpressionPtr value);
  ExpressionPtr ParseTest(ExpressionPtr value);
  ExpressionPtr ParseSubscript(ExpressionPtr value);
  void ParseArguments(Expression& call);
  void ParseArgument(Expression& call);
  void RequireKnown(const char* what, bool known, const std::string& message);
  bool EndsTuple(const char* end) const;
  std::string DottedName();
  ExpressionPtr ParseTargetPart(const char* end, bool attributes);
  ExpressionPtr Joined(Expression::Kind kind, std::string name, ExpressionPtr left, ExpressionPtr right) const;

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace ecld::jinja
