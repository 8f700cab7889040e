#include "checkpoint/tokenizer/jinja/parser.h"

#include <initializer_list>

#include "checkpoint/tokenizer/jinja/expression_parser.h"
#include "core/error.h"

namespace ecld::jinja {
namespace {

class StatementParser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Block ParseTemplate() {
    Block block = ParseBlock({});
    if (Peek().kind != Token::kEnd) Wrong(fmt::format("\"{}\" ends nothing", Peek(1).text));
    return block;
  }

 private:
  // Statements up to a tag with one of these names (whose "{%" is not taken), or the end of the template.
  Block ParseBlock(std::initializer_list<const char*> ends) {
    Level level(*this);
    Block block;
    while (Peek().kind != Token::kEnd) {
      if (Peek().kind == Token::kText) {
        block.push_back({.kind = Statement::kText, .line = Peek().line, .text = Take().text});
      } else if (Peek().kind == Token::kOutputBegin) {
        Take();
        Statement output{.kind = Statement::kOutput, .line = Peek().line};
        output.expressions.push_back(ParseTuple());
        if (Peek().kind != Token::kOutputEnd) Wrong("expected }} after the expression");
        Take();
        block.push_back(std::move(output));
      } else {
        for (const char* end : ends)
          if (Peek(1).Is(Token::kName, end)) return block;
        if (ends.size() == 0 && (Peek(1).text.starts_with("end") || Peek(1).text.starts_with("el"))) return block;
        Take();
        block.push_back(ParseTag());
      }
    }
    if (ends.size() > 0) Wrong(fmt::format("the template ends before \"{}\"", *(ends.end() - 1)));
    return block;
  }

  Block ParseBody(const char* end) {
    EndTag();
    Block block = ParseBlock({end});
    TakeTag(end);
    EndTag();
    return block;
  }

  void TakeTag(const char* name) {
    Take();
    Expect(Token::kName, name);
  }

  void EndTag() {
    if (Peek().kind != Token::kTagEnd) Wrong("expected %} here");
    Take();
  }

  Statement ParseTag() {
    int line = Peek().line;
    std::string name = ExpectName();
    Statement statement{.kind = Statement::kScope, .line = line};
    if (name == "if") {
      ParseIf(statement);
    } else if (name == "for") {
      ParseFor(statement);
    } else if (name == "set") {
      ParseSet(statement);
    } else if (name == "macro") {
      ParseMacro(statement);
    } else if (name == "generation") {  // marks what the model said, for training; prints its body
      statement.blocks.push_back(ParseBody("endgeneration"));
    } else if (name == "break" || name == "continue") {
      if (loops_ == 0) Wrong(fmt::format("\"{}\" outside a loop", name));
      statement.kind = name == "break" ? Statement::kBreak : Statement::kContinue;
      EndTag();
    } else {
      Wrong(fmt::format("tag \"{}\" is not supported (supported: if, for, set, macro, break, continue, generation)",
                        name));
    }
    return statement;
  }

  void ParseIf(Statement& statement) {
    statement.kind = Statement::kIf;
    statement.expressions.push_back(ParseTuple());
    EndTag();
    statement.blocks.push_back(ParseBlock({"elif", "else", "endif"}));
    for (;;) {
      Take();
      std::string name = ExpectName();
      if (name == "elif") statement.expressions.push_back(ParseTuple());
      EndTag();
      if (name == "endif") return;
      if (name == "elif") {
        statement.blocks.push_back(ParseBlock({"elif", "else", "endif"}));
        continue;
      }
      statement.blocks.push_back(ParseBlock({"endif"}));
      TakeTag("endif");
      EndTag();
      return;
    }
  }

  void ParseFor(Statement& statement) {
    statement.kind = Statement::kFor;
    bool parentheses = TakeIf(Token::kOperator, "(");
    do {
      statement.names.push_back(ExpectName());
    } while (TakeIf(Token::kOperator, ","));
    if (parentheses) Expect(Token::kOperator, ")");
    Expect(Token::kName, "in");
    statement.expressions.push_back(ParseExpression(false));
    statement.expressions.push_back(TakeIf(Token::kName, "if") ? ParseExpression() : nullptr);
    if (Peek().Is(Token::kName, "recursive")) Wrong("recursive loops are not supported");
    EndTag();
    ++loops_;
    statement.blocks.push_back(ParseBlock({"else", "endfor"}));
    --loops_;
    Take();
    bool has_else = ExpectName() == "else";
    EndTag();
    statement.blocks.emplace_back();
    if (!has_else) return;
    statement.blocks.back() = ParseBlock({"endfor"});
    TakeTag("endfor");
    EndTag();
  }

  void ParseSet(Statement& statement) {
    statement.kind = Statement::kSet;
    statement.names.push_back(ExpectName());
    if (TakeIf(Token::kOperator, "."))
      statement.attribute = ExpectName();
    else
      while (TakeIf(Token::kOperator, ",")) statement.names.push_back(ExpectName());
    if (TakeIf(Token::kOperator, "=")) {
      statement.expressions.push_back(ParseTuple());
      EndTag();
      return;
    }
    if (statement.names.size() > 1 || !statement.attribute.empty()) Wrong("expected \"=\"");
    statement.kind = Statement::kSetBlock;
    statement.blocks.push_back(ParseBody("endset"));
  }

  void ParseMacro(Statement& statement) {
    statement.kind = Statement::kMacro;
    statement.text = ExpectName();
    Expect(Token::kOperator, "(");
    while (!TakeIf(Token::kOperator, ")")) {
      if (!statement.names.empty()) Expect(Token::kOperator, ",");
      statement.names.push_back(ExpectName());
      statement.expressions.push_back(TakeIf(Token::kOperator, "=") ? ParseExpression() : nullptr);
    }
    int loops = std::exchange(loops_, 0);
    statement.blocks.push_back(ParseBody("endmacro"));
    loops_ = loops;
  }

  int loops_ = 0;
};

}  // namespace

Block Parse(const std::string& source, const std::string& where) {
  return StatementParser(Tokenize(source, where), where).ParseTemplate();
}

}  // namespace ecld::jinja
