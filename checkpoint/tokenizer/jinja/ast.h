#pragma once
// A parsed template: statements that hold expressions. Plain data, made by the parser and walked by the interpreter.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/tokenizer/jinja/value.h"

namespace ecld::jinja {

struct Expression {
  enum Kind {
    kLiteral,    // value
    kName,       // name
    kList,       // parts
    kDict,       // parts: key, value, key, value, ...
    kAttribute,  // parts[0].name
    kIndex,      // parts[0][parts[1]]
    kSlice,      // parts[0][parts[1]:parts[2]:parts[3]], each of the three may be null
    kCall,       // parts[0](parts[1], ..., named)
    kFilter,     // parts[0] | name(parts[1], ..., named)
    kTest,       // parts[0] is name(parts[1], ...)
    kUnary,      // name: not, -, +
    kBinary,     // parts[0] name parts[1]: and, or, in, not in, ==, +, ~, ...
    kIf,         // parts[1] if parts[0] else parts[2], which may be null
  } kind;
  int line = 1;
  std::string name = {};
  Value value = {};
  std::vector<std::unique_ptr<Expression>> parts = {};
  std::vector<std::pair<std::string, std::unique_ptr<Expression>>> named = {};
};
using ExpressionPtr = std::unique_ptr<Expression>;

struct Statement;
using Block = std::vector<Statement>;

struct Statement {
  enum Kind {
    kText,      // text
    kOutput,    // expressions[0]
    kIf,        // expressions[i] guards blocks[i]; a last block without one is the else
    kFor,       // names in expressions[0] if expressions[1] (may be null): blocks[0], else blocks[1]
    kSet,       // names = expressions[0]; one name with attribute: of a namespace
    kSetBlock,  // names[0] = what blocks[0] prints
    kMacro,     // text(names = expressions, which may be null): blocks[0]
    kScope,     // blocks[0], whose variables stay inside
    kBreak,
    kContinue
  } kind;
  int line = 1;
  std::string text = {};
  std::string attribute = {};
  std::vector<std::string> names = {};
  std::vector<ExpressionPtr> expressions = {};
  std::vector<Block> blocks = {};
};

}  // namespace ecld::jinja
