#pragma once
// Runs a parsed template. Work is bounded: steps (and the bytes and elements they make) and the depth of what calls
// or holds another, so that no template can hang or exhaust the program.

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/ast.h"
#include "jinja/library.h"

namespace ecld::jinja {

class Interpreter {
 public:
  Interpreter(const Program& program, const std::string& where) : program_(program), where_(where) {}

  // THROWS Error "where:line: ..." when the template raises, or does what cannot be done.
  std::string Run(const Named& variables);

  // For filters and methods, which make values. THROWS Problem when the template has used up its work.
  void Charge(size_t bytes_or_elements);
  Value ApplyFilter(const std::string& name, const Value& value, const Arguments& arguments);
  bool ApplyTest(const std::string& name, const Value& value, const Arguments& arguments);
  // Lives as long as this.
  Object& NewObject(std::string text);
  Value NewFunction(std::string text, Function function);
  bool autoescape() const { return autoescape_; }

 private:
  enum class Flow { kNormal, kBreak, kContinue };
  struct Scope {
    Scope* parent = nullptr;
    bool captured = false;  // by a macro, which may be called when its statement has ended
    Named variables = {};
  };
  struct Loop;
  // A scope inside another one, while this lives.
  class Inside {
   public:
    Inside(Interpreter& interpreter, Scope* parent);
    ~Inside();

   private:
    Interpreter& interpreter_;
    Scope *outer_, *own_;
  };
  // One level deeper, while this lives.
  class Deeper {
   public:
    explicit Deeper(Interpreter& interpreter);
    ~Deeper() { --interpreter_.depth_; }

   private:
    Interpreter& interpreter_;
  };

  Flow Execute(const Block& block);
  Flow ExecuteOne(const Statement& statement);
  Flow ExecuteIf(const Statement& statement);
  Flow ExecuteFor(const Statement& statement);
  Flow ExecuteLoop(const std::shared_ptr<Loop>& loop);
  Flow ExecuteCaptured(const Statement& statement);
  Flow ExecuteWith(const Statement& statement);
  Flow ExecuteAutoescape(const Statement& statement);
  void Print(const Value& value);
  void ExecuteBlock(const Statement& statement, Scope* scope);
  Value NewLoop(const std::shared_ptr<Loop>& loop);
  Value LoopAttribute(Loop& loop, const std::string& name);
  // What runs prints, in place of printing it; nothing when flow is left by a jump.
  template <class Runs>
  std::string Captured(Runs&& runs) {
    std::string outer = std::exchange(out_, "");
    runs();
    Charge(out_.size());
    return std::exchange(out_, std::move(outer));
  }
  Value Printed(std::string text) { return Value(std::move(text), autoescape_); }
  Value NewMacro(const Statement& statement);
  Value CallMacro(const Statement& statement, Scope* scope, bool autoescape, const Arguments& arguments);
  void AssignArguments(const Statement& statement, const Arguments& arguments);
  void AddGlobals();

  Value Evaluate(const Expression& expression);
  Value EvaluateConcat(const Expression& expression);
  Value EvaluateUnary(const Expression& expression);
  Value EvaluateBinary(const Expression& expression);
  Value EvaluateCompare(const Expression& expression);
  Value EvaluateSlice(const Expression& expression);
  Value Call(const Expression& expression, const Value* caller = nullptr);
  Arguments EvaluateArguments(const Expression& expression);
  Value Lookup(const std::string& name) const;
  void Assign(const Expression& target, const Value& value);

  const Program& program_;
  const std::string& where_;
  std::string out_;
  std::deque<Object> objects_;
  std::deque<Scope> scopes_;
  Scope* root_ = nullptr;   // the template's own; around it are the globals
  Scope* scope_ = nullptr;  // the innermost
  Value block_text_;        // what the filter or set block that ends here has printed
  bool autoescape_ = false;
  int line_ = 1;
  int depth_ = 0, calls_ = 0;
  size_t work_ = 0;
};

// Functions every template can call: range, namespace, ...
std::span<const Row> Globals();

// The methods of a value's type; empty when it has none.
std::span<const Row> MethodsOf(const Value& value);
Value CallMethod(Interpreter& interpreter, const Row& row, const Value& self, const Arguments& arguments);
// obj.name: what Python has under this name, else the entry of a dict; undefined when there is neither.
Value AttributeOf(Interpreter& interpreter, const Value& object, const std::string& name);
// obj[key]: the entry or element, else what Python has under this name.
Value ElementOf(Interpreter& interpreter, const Value& object, const Value& key);
// The elements that a for loop or a filter sees: of a list, keys of a dict, characters of a string; none of undefined.
// Those of an iterator are taken from it.
List ElementsOf(Interpreter& interpreter, const Value& value);
// a name b for +, -, *, /, //, %, **.
Value BinaryOperation(Interpreter& interpreter, const std::string& name, const Value& a, const Value& b);
// a name b for ==, !=, <, <=, >, >=, in, not in.
bool Compare(Interpreter& interpreter, const std::string& name, const Value& a, const Value& b);
bool Contains(Interpreter& interpreter, const Value& container, const Value& value);
bool Less(const Value& a, const Value& b);
void RequireDefined(const Value& value);

}  // namespace ecld::jinja
