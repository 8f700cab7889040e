#pragma once
// Runs a parsed template. Work is bounded: steps (and the bytes and elements they make) and the depth of macro calls,
// so that no template can hang or exhaust the program.

#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tokenizer/jinja/ast.h"

namespace ecld::jinja {

class Interpreter {
 public:
  Interpreter(const Block& program, const std::string& where) : program_(program), where_(where) {}

  // THROWS Error "where:line: ..." when the template raises, or does what cannot be done.
  std::string Run(const Dict& variables);

  // For filters and methods, which make values. THROWS Error when the template has used up its work.
  void Charge(size_t bytes_or_elements);
  Value ApplyFilter(const std::string& name, const Value& value, const Arguments& arguments);
  bool ApplyTest(const std::string& name, const Value& value, const Arguments& arguments);
  [[noreturn]] void Wrong(const std::string& message) const;

 private:
  enum class Flow { kNormal, kBreak, kContinue };
  using Scope = Dict;

  Flow Execute(const Block& block);
  Flow ExecuteOne(const Statement& statement);
  Flow ExecuteIf(const Statement& statement);
  Flow ExecuteFor(const Statement& statement);
  void ExecuteSet(const Statement& statement);
  std::string Captured(const Block& block);
  void DefineMacro(const Statement& statement);
  Value CallMacro(const Statement& statement, const Arguments& arguments);
  void AddBuiltins();

  Value Evaluate(const Expression& expression);
  Value EvaluateBinary(const Expression& expression);
  Value EvaluateSlice(const Expression& expression);
  Value EvaluateTest(const Expression& expression);
  Value Call(const Expression& expression);
  Arguments EvaluateArguments(const Expression& expression);
  Value Lookup(const std::string& name) const;
  void Assign(const std::string& name, Value value);
  void Unpack(const std::vector<std::string>& names, const Value& value);

  const Block& program_;
  const std::string& where_;
  std::string out_;
  Scope builtins_;
  std::vector<Scope> scopes_;  // the first is the template's own, visible everywhere
  size_t frame_ = 0;           // the scopes from here on are those of the running macro
  int line_ = 1;
  int depth_ = 0;
  size_t work_ = 0;
};

// obj.name: methods of strings, lists and dicts, entries of dicts, attributes of namespaces; else undefined.
Value AttributeOf(Interpreter& interpreter, const Value& object, const std::string& name);
// obj[key]
Value ElementOf(Interpreter& interpreter, const Value& object, const Value& key);
// The elements that a for loop or a filter sees: of a list, keys of a dict, characters of a string; none of undefined.
List ElementsOf(Interpreter& interpreter, const Value& value);
// a name b for +, -, *, /, //, %, ~, ==, !=, <, <=, >, >=, in, not in.
Value BinaryOperation(Interpreter& interpreter, const std::string& name, const Value& a, const Value& b);
bool Contains(Interpreter& interpreter, const Value& container, const Value& value);

}  // namespace ecld::jinja
