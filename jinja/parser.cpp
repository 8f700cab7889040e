#include "jinja/parser.h"

#include <algorithm>
#include <initializer_list>

#include "core/error.h"
#include "jinja/expression_parser.h"

namespace ecld::jinja {
namespace {

class StatementParser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Program ParseTemplate() {
    Program program{ParseBlock({})};
    if (Peek().kind != Token::kEnd) Wrong(fmt::format("\"{}\" ends nothing", Peek(1).text));
    if (!unknown_.empty()) throw unknown_.front();
    CollectBlocks(program.body, &program);
    return program;
  }

 private:
  using Parse = void (StatementParser::*)(Statement&);

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

  // What stands between this tag and its end, in a frame of its own: "if" around it does not count, nor do loops.
  Block ParseBody(const char* end, bool in_loop = false) {
    const bool inside_if = std::exchange(inside_if_, false);
    const int loops = std::exchange(loops_, in_loop ? loops_ : 0);
    Block block = ParseBlockAfterTag({end});
    CloseTag(end);
    inside_if_ = inside_if;
    loops_ = loops;
    return block;
  }

  Block ParseBlockAfterTag(std::initializer_list<const char*> ends) {
    TakeIf(Token::kOperator, ":");
    EndTag();
    return ParseBlock(ends);
  }

  void CloseTag(const char* name) {
    Take();
    Expect(Token::kName, name);
    EndTag();
  }

  void EndTag() {
    if (Peek().kind != Token::kTagEnd) Wrong("expected %} here");
    Take();
  }

  Statement ParseTag() {
    static constexpr std::pair<const char*, Parse> kTags[] = {{"if", &StatementParser::ParseIf},
                                                              {"for", &StatementParser::ParseFor},
                                                              {"set", &StatementParser::ParseSet},
                                                              {"macro", &StatementParser::ParseMacro},
                                                              {"call", &StatementParser::ParseCall},
                                                              {"filter", &StatementParser::ParseFilterBlock},
                                                              {"with", &StatementParser::ParseWith},
                                                              {"autoescape", &StatementParser::ParseAutoescape},
                                                              {"print", &StatementParser::ParsePrint},
                                                              {"block", &StatementParser::ParseNamedBlock},
                                                              {"break", &StatementParser::ParseJump},
                                                              {"continue", &StatementParser::ParseJump},
                                                              {"include", &StatementParser::ParseOther},
                                                              {"extends", &StatementParser::ParseOther},
                                                              {"import", &StatementParser::ParseOther},
                                                              {"from", &StatementParser::ParseOther},
                                                              {"generation", &StatementParser::ParseGeneration}};
    Statement statement{.kind = Statement::kScope, .line = Peek().line};
    statement.text = ExpectName();
    std::vector<std::string> known;
    for (const auto& [name, parse] : kTags) {
      known.emplace_back(name);
      if (statement.text != name) continue;
      (this->*parse)(statement);
      return statement;
    }
    Wrong(fmt::format("tag \"{}\" is not supported{}", statement.text, DidYouMean(statement.text, known)));
  }

  void ParseIf(Statement& statement) {
    statement.kind = Statement::kIf;
    const bool outer = std::exchange(inside_if_, true);
    for (std::string name = "if"; name != "endif";) {
      if (name != "else") statement.expressions.push_back(ParseTuple(false));
      if (name == "else")
        statement.blocks.push_back(ParseBlockAfterTag({"endif"}));
      else
        statement.blocks.push_back(ParseBlockAfterTag({"elif", "else", "endif"}));
      Take();
      name = ExpectName();
    }
    EndTag();
    inside_if_ = outer;
  }

  void ParseFor(Statement& statement) {
    statement.kind = Statement::kFor;
    const bool outer_names_loop = std::exchange(names_loop_, false);
    statement.targets.push_back(ParseTarget("in", false));
    Expect(Token::kName, "in");
    statement.expressions.push_back(ParseTuple(false, "recursive"));
    const bool inside_if = std::exchange(inside_if_, false);
    statement.expressions.push_back(TakeIf(Token::kName, "if") ? ParseExpression() : nullptr);
    statement.flag = TakeIf(Token::kName, "recursive");
    ++loops_;
    statement.blocks.push_back(ParseBlockAfterTag({"else", "endfor"}));
    --loops_;
    Take();
    statement.blocks.emplace_back();
    if (ExpectName() == "else") {
      statement.blocks.back() = ParseBlockAfterTag({"endfor"});
      Take();
      Take();
    }
    EndTag();
    if (names_loop_) Wrong("\"loop\" cannot be assigned to inside a loop, whose own variable it is");
    names_loop_ = outer_names_loop;
    inside_if_ = inside_if;
  }

  void ParseSet(Statement& statement) {
    statement.kind = Statement::kSet;
    statement.targets.push_back(ParseTarget(nullptr, true));
    if (TakeIf(Token::kOperator, "=")) {
      statement.expressions.push_back(ParseTuple());
      EndTag();
      return;
    }
    if (statement.targets[0]->kind == Expression::kTuple) Wrong("expected \"=\"");
    statement.kind = Statement::kSetBlock;
    statement.expressions.push_back(ParseBlockFilters(false));
    statement.blocks.push_back(ParseBody("endset", true));
  }

  void ParseParameters(Statement& statement) {
    Expect(Token::kOperator, "(");
    while (!TakeIf(Token::kOperator, ")")) {
      if (!statement.names.empty()) Expect(Token::kOperator, ",");
      std::string name = ExpectName();
      if (std::find(statement.names.begin(), statement.names.end(), name) != statement.names.end())
        Wrong(fmt::format("two parameters are called \"{}\"", name));
      statement.names.push_back(std::move(name));
      const bool has_default = TakeIf(Token::kOperator, "=");
      if (!has_default && !statement.expressions.empty() && statement.expressions.back())
        Wrong(fmt::format("\"{}\" needs a default, as the parameter before it has one", statement.names.back()));
      statement.expressions.push_back(has_default ? ParseExpression() : nullptr);
    }
  }

  // The body of a macro or call block, noting which of the special names it reads.
  void ParseMacroBody(Statement& statement, const char* end) {
    const bool caller = std::exchange(reads_caller_, false), varargs = std::exchange(reads_varargs_, false),
               kwargs = std::exchange(reads_kwargs_, false);
    statement.blocks.push_back(ParseBody(end));
    statement.takes_caller = reads_caller_;
    statement.takes_more = reads_varargs_;
    statement.takes_more_named = reads_kwargs_;
    for (const std::string& name : statement.names) {
      if (name == "varargs") statement.takes_more = false;
      if (name == "kwargs") statement.takes_more_named = false;
      if (name != "caller") continue;
      const size_t at = static_cast<size_t>(&name - statement.names.data());
      if (!statement.expressions[at] && statement.takes_caller) Wrong("a parameter called \"caller\" needs a default");
      statement.takes_caller = false;
    }
    reads_caller_ = reads_caller_ || caller;
    reads_varargs_ = reads_varargs_ || varargs;
    reads_kwargs_ = reads_kwargs_ || kwargs;
  }

  void ParseMacro(Statement& statement) {
    statement.kind = Statement::kMacro;
    statement.text = ExpectName();
    ParseParameters(statement);
    ParseMacroBody(statement, "endmacro");
  }

  void ParseCall(Statement& statement) {
    statement.kind = Statement::kCallBlock;
    statement.text = "caller";
    if (Peek().Is(Token::kOperator, "(")) ParseParameters(statement);
    statement.targets.push_back(ParseExpression());
    if (statement.targets[0]->kind != Expression::kCall) Wrong("expected the call of a macro after \"call\"");
    ParseMacroBody(statement, "endcall");
  }

  void ParseFilterBlock(Statement& statement) {
    statement.kind = Statement::kFilterBlock;
    statement.expressions.push_back(ParseBlockFilters(true));
    statement.blocks.push_back(ParseBody("endfilter", true));
  }

  void ParseWith(Statement& statement) {
    statement.kind = Statement::kWith;
    while (Peek().kind != Token::kTagEnd && !Peek().Is(Token::kOperator, ":")) {
      if (!statement.targets.empty()) Expect(Token::kOperator, ",");
      statement.targets.push_back(ParseTarget(nullptr, false));
      Expect(Token::kOperator, "=");
      statement.expressions.push_back(ParseExpression());
    }
    statement.blocks.push_back(ParseBody("endwith", true));
  }

  void ParseAutoescape(Statement& statement) {
    statement.kind = Statement::kAutoescape;
    statement.expressions.push_back(ParseExpression());
    statement.blocks.push_back(ParseBody("endautoescape", true));
  }

  void ParsePrint(Statement& statement) {
    statement.kind = Statement::kOutput;
    while (Peek().kind != Token::kTagEnd) {
      if (!statement.expressions.empty()) Expect(Token::kOperator, ",");
      statement.expressions.push_back(ParseExpression());
    }
    EndTag();
  }

  void ParseNamedBlock(Statement& statement) {
    statement.kind = Statement::kBlock;
    statement.text = ExpectName();
    statement.flag = TakeIf(Token::kName, "scoped");
    if (Peek().Is(Token::kName, "required")) Wrong("a required block needs a template that extends this one");
    const bool inside_if = std::exchange(inside_if_, false);
    const int loops = std::exchange(loops_, 0);
    statement.blocks.push_back(ParseBlockAfterTag({"endblock"}));
    Take();
    Take();
    TakeIf(Token::kName, statement.text.c_str());
    EndTag();
    inside_if_ = inside_if;
    loops_ = loops;
  }

  void ParseJump(Statement& statement) {
    if (loops_ == 0) Wrong(fmt::format("\"{}\" outside a loop", statement.text));
    statement.kind = statement.text == "break" ? Statement::kBreak : Statement::kContinue;
    EndTag();
  }

  void ParseGeneration(Statement& statement) {  // marks what the model said, for training; prints its body
    statement.blocks.push_back(ParseBody("endgeneration"));
  }

  void ParseOther(Statement& statement) {
    statement.kind = Statement::kElsewhere;
    statement.expressions.push_back(ParseExpression());
    if (statement.text == "import") {
      Expect(Token::kName, "as");
      ExpectName();
    }
    while (Peek().kind == Token::kName || Peek().Is(Token::kOperator, ",")) Take();  // names, "with context", ...
    EndTag();
  }

  void CollectBlocks(const Block& block, Program* program) {
    for (const Statement& statement : block) {
      if (statement.kind == Statement::kBlock) {
        for (const Statement* known : program->blocks)
          if (known->text == statement.text)
            throw Error(fmt::format("{}:{}", where_, statement.line),
                        fmt::format("block \"{}\" is defined twice", statement.text));
        program->blocks.push_back(&statement);
      }
      for (const Block& inner : statement.blocks) CollectBlocks(inner, program);
    }
  }

  int loops_ = 0;
};

}  // namespace

Program Parse(const std::string& source, const std::string& where) {
  return StatementParser(Tokenize(source, where), where).ParseTemplate();
}

}  // namespace ecld::jinja
