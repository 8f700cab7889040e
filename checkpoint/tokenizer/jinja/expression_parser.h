#pragma once
// The part of the parser that reads expressions; the statement parser stands on it.

#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tokenizer/jinja/ast.h"
#include "checkpoint/tokenizer/jinja/lexer.h"

namespace ecld::jinja {

class ExpressionParser {
 public:
  ExpressionParser(std::vector<Token> tokens, const std::string& where) : where_(where), tokens_(std::move(tokens)) {}

 protected:
  // With condition: "a if b else c" is taken too (not after "for x in", where "if" filters).
  ExpressionPtr ParseExpression(bool condition = true);
  // "a, b" is a list.
  ExpressionPtr ParseTuple();

  const Token& Peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  Token Take() { return at_ + 1 < tokens_.size() ? tokens_[at_++] : tokens_.back(); }
  bool TakeIf(Token::Kind kind, const char* text);
  void Expect(Token::Kind kind, const char* text);
  std::string ExpectName();
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

 private:
  ExpressionPtr Make(Expression::Kind kind, std::string name = "") const;
  ExpressionPtr ParseOr();
  ExpressionPtr ParseAnd();
  ExpressionPtr ParseNot();
  ExpressionPtr ParseCompare();
  ExpressionPtr ParseBinary(size_t level);
  ExpressionPtr ParseUnary(bool with_filter);
  ExpressionPtr ParsePrimary();
  ExpressionPtr ParsePostfix(ExpressionPtr value);
  ExpressionPtr ParseFilters(ExpressionPtr value);
  ExpressionPtr ParseTest(ExpressionPtr value);
  ExpressionPtr ParseSubscript(ExpressionPtr value);
  void ParseArguments(Expression& call);
  ExpressionPtr Joined(Expression::Kind kind, std::string name, ExpressionPtr left, ExpressionPtr right) const;

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace ecld::jinja
