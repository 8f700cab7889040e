#pragma once
// A parsed template: statements that hold expressions. Plain data, made by the parser and walked by the interpreter.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jinja/value.h"

namespace ecld::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct Expression {
  enum Kind {
    kLiteral,    // value
    kName,       // name
    kList,       // parts
    kTuple,      // parts
    kDict,       // parts: key, value, key, value, ...
    kAttribute,  // parts[0].name
    kIndex,      // parts[0][parts[1]]
    kSlice,      // parts[0][parts[1]:parts[2]:parts[3]], each of the three may be null
    kCall,       // parts[0](parts[1], ..., named, *spread, **spread_named)
    kFilter,     // parts[0] | name(as of a call)
    kTest,       // parts[0] is name(as of a call)
    kUnary,      // name: not, -, +
    kBinary,     // parts[0] name parts[1]: and, or, +, *, ...
    kCompare,    // parts[0] operators[0] parts[1] operators[1] parts[2] ...
    kConcat,     // parts[0] ~ parts[1] ~ ...
    kIf,         // parts[1] if parts[0] else parts[2], which may be null
    kBlockText,  // what the body of a filter or set block has printed
  } kind;
  int line = 1;
  std::string name = {};
  Value value = {};
  std::vector<ExpressionPtr> parts = {};
  std::vector<std::string> operators = {};
  std::vector<std::pair<std::string, ExpressionPtr>> named = {};
  ExpressionPtr spread = nullptr, spread_named = nullptr;
};

struct Statement;
using Block = std::vector<Statement>;

struct Statement {
  enum Kind {
    kText,         // text
    kOutput,       // expressions
    kIf,           // expressions[i] guards blocks[i]; a last block without one is the else
    kFor,          // targets[0] in expressions[0] if expressions[1] (may be null): blocks[0], else blocks[1]
    kSet,          // targets[0] = expressions[0]
    kSetBlock,     // targets[0] = what blocks[0] prints, through the filters of expressions[0]
    kMacro,        // text(names = expressions, which may be null): blocks[0]
    kCallBlock,    // targets[0], a call, is given blocks[0] as the macro "caller"
    kFilterBlock,  // what blocks[0] prints, through the filters of expressions[0]
    kWith,         // targets = expressions, in blocks[0]
    kAutoescape,   // blocks[0], escaped if expressions[0]
    kScope,        // blocks[0], whose variables stay inside
    kBlock,        // the named block text: blocks[0], which sees the variables around it when flag (scoped)
    kElsewhere,    // takes from another template, which is an error when it is reached; text: the tag
    kBreak,
    kContinue
  } kind;
  int line = 1;
  std::string text = {};
  bool flag = false;  // of kFor: recursive; of kBlock: scoped
  // Of kMacro and kCallBlock: what the body reads besides its parameters.
  bool takes_caller = false, takes_more = false, takes_more_named = false;
  std::vector<std::string> names = {};
  std::vector<ExpressionPtr> targets = {};  // kName, kAttribute (of a namespace), kTuple of such
  std::vector<ExpressionPtr> expressions = {};
  std::vector<Block> blocks = {};
};

// A template: its statements, and its blocks by name, which self.name() prints again.
struct Program {
  Block body;
  std::vector<const Statement*> blocks = {};
};

}  // namespace ecld::jinja
