#include "jinja/interpreter.h"

#include <algorithm>

#include "core/error.h"
#include "jinja/text.h"

namespace ecld::jinja {
namespace {

constexpr int kMaxDepth = 1000;
constexpr size_t kMaxWork = 4'000'000;
constexpr size_t kBytesPerStep = 64;  // making this many bytes costs as much as one step

}  // namespace

void Interpreter::Charge(size_t bytes_or_elements) {
  work_ += 1 + bytes_or_elements / kBytesPerStep;
  if (work_ > kMaxWork) Wrong("the template does not come to an end (too many steps)");
}

Interpreter::Deeper::Deeper(Interpreter& interpreter) : interpreter_(interpreter) {
  if (++interpreter_.depth_ <= kMaxDepth) return;
  --interpreter_.depth_;
  Wrong(fmt::format("statements, calls and values are nested deeper than {} levels", kMaxDepth));
}

Interpreter::Inside::Inside(Interpreter& interpreter, Scope* parent) : interpreter_(interpreter) {
  interpreter_.Charge(sizeof(Scope));
  outer_ = interpreter_.scope_;
  own_ = interpreter_.scope_ = &interpreter_.scopes_.emplace_back(Scope{parent});
}

Interpreter::Inside::~Inside() {
  interpreter_.scope_ = outer_;
  if (!own_->captured && own_ == &interpreter_.scopes_.back()) interpreter_.scopes_.pop_back();
}

Object& Interpreter::NewObject(std::string text) {
  Charge(sizeof(Object));
  return objects_.emplace_back(Object{.text = std::move(text)});
}

Value Interpreter::NewFunction(std::string text, Function function) {
  Object& object = NewObject(std::move(text));
  object.call = std::move(function);
  return Value(&object);
}

std::string Interpreter::Run(const Named& variables) {
  try {
    scope_ = &scopes_.emplace_back();
    AddGlobals();
    root_ = scope_ = &scopes_.emplace_back(Scope{scope_});
    root_->variables = variables;
    Execute(program_.body);
    return std::move(out_);
  } catch (const Problem& problem) {
    throw Error(fmt::format("{}:{}", where_, line_), problem.what());
  }
}

void Interpreter::AddGlobals() {
  for (const Row& row : Globals())
    Put(scope_->variables, std::string(row.name),
        NewFunction(fmt::format("<function {}>", row.name),
                    [this, &row](const Arguments& arguments) { return CallRow(*this, row, Value(), arguments); }));
  for (const char* name : {"dict"})  // dict.fromkeys(keys, value)
    Find(scope_->variables, name)
        ->AsObject()
        ->attributes.emplace_back("fromkeys", NewFunction("<function fromkeys>", [this](const Arguments& arguments) {
                                    if (arguments.positional.empty()) Wrong("dict.fromkeys needs keys");
                                    Dict dict;
                                    for (const Value& key : ElementsOf(*this, arguments.positional[0]))
                                      Put(dict, key,
                                          arguments.positional.size() > 1 ? arguments.positional[1] : Value(None{}));
                                    return Value(std::move(dict));
                                  }));
  Object& self = NewObject("<TemplateReference None>");
  for (const Statement* block : program_.blocks)
    self.attributes.emplace_back(block->text, NewFunction("<BlockReference>", [this, block](const Arguments&) {
                                   return Printed(Captured([&] { ExecuteBlock(*block, root_); }));
                                 }));
  Put(scope_->variables, "self", Value(&self));
}

Value Interpreter::Lookup(const std::string& name) const {
  for (const Scope* scope = scope_; scope; scope = scope->parent)
    if (const Value* value = Find(scope->variables, name)) return *value;
  return Value::MakeUndefined(fmt::format("'{}' is undefined", name));
}

void Interpreter::Assign(const Expression& target, const Value& value) {
  if (target.kind == Expression::kName) {
    Put(scope_->variables, target.name, value);
  } else if (target.kind == Expression::kTuple) {
    List elements = ElementsOf(*this, value);
    if (elements.size() != target.parts.size())
      Wrong(fmt::format("{} values for {} names", elements.size(), target.parts.size()));
    for (size_t i = 0; i < elements.size(); ++i) Assign(*target.parts[i], elements[i]);
  } else {
    const std::string& name = target.parts[0]->name;
    Value space = Lookup(name);
    if (!space.AsObject() || !space.AsObject()->is_namespace)
      Wrong(fmt::format("attributes can be set on a namespace only, and \"{}\" is {}", name, space.TypeName()));
    if (target.name.starts_with('_'))
      Wrong(fmt::format("attribute \"{}\" of a namespace: names with _ before them are not allowed", target.name));
    Put(space.AsObject()->attributes, target.name, value);
  }
}

Interpreter::Flow Interpreter::Execute(const Block& block) {
  for (const Statement& statement : block)
    if (Flow flow = ExecuteOne(statement); flow != Flow::kNormal) return flow;
  return Flow::kNormal;
}

void Interpreter::Print(const Value& value) {
  std::string text = value.Str();
  if (autoescape_ && !value.IsMarkup()) text = Escaped(text);
  Charge(text.size());
  out_ += text;
}

Interpreter::Flow Interpreter::ExecuteOne(const Statement& statement) {
  Deeper deeper(*this);
  line_ = statement.line;
  Charge(statement.text.size());
  switch (statement.kind) {
    case Statement::kText:
      out_ += statement.text;
      return Flow::kNormal;
    case Statement::kOutput:
      for (const ExpressionPtr& expression : statement.expressions) Print(Evaluate(*expression));
      return Flow::kNormal;
    case Statement::kIf:
      return ExecuteIf(statement);
    case Statement::kFor:
      return ExecuteFor(statement);
    case Statement::kSet:
      Assign(*statement.targets[0], Evaluate(*statement.expressions[0]));
      return Flow::kNormal;
    case Statement::kSetBlock:
    case Statement::kFilterBlock:
      return ExecuteCaptured(statement);
    case Statement::kMacro:
      Put(scope_->variables, statement.text, NewMacro(statement));
      return Flow::kNormal;
    case Statement::kCallBlock: {
      const Value caller = NewMacro(statement);
      Print(Call(*statement.targets[0], &caller));
      return Flow::kNormal;
    }
    case Statement::kWith:
      return ExecuteWith(statement);
    case Statement::kAutoescape:
      return ExecuteAutoescape(statement);
    case Statement::kScope: {
      Inside inside(*this, scope_);
      return Execute(statement.blocks[0]);
    }
    case Statement::kBlock:
      ExecuteBlock(statement, statement.flag ? scope_ : root_);
      return Flow::kNormal;
    case Statement::kElsewhere:
      Wrong(fmt::format("tag \"{}\" is not supported: a chat template has no other templates to take from",
                        statement.text));
    case Statement::kBreak:
      return Flow::kBreak;
    case Statement::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::ExecuteIf(const Statement& statement) {
  for (size_t i = 0; i < statement.blocks.size(); ++i)
    if (i >= statement.expressions.size() || Evaluate(*statement.expressions[i]).Truth())
      return Execute(statement.blocks[i]);
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::ExecuteWith(const Statement& statement) {
  List values;  // which see the variables around
  for (const ExpressionPtr& expression : statement.expressions) values.push_back(Evaluate(*expression));
  Inside inside(*this, scope_);
  for (size_t i = 0; i < values.size(); ++i) Assign(*statement.targets[i], values[i]);
  return Execute(statement.blocks[0]);
}

Interpreter::Flow Interpreter::ExecuteAutoescape(const Statement& statement) {
  const bool outer = std::exchange(autoescape_, Evaluate(*statement.expressions[0]).Truth());
  Inside inside(*this, scope_);
  const Flow flow = Execute(statement.blocks[0]);
  autoescape_ = outer;
  return flow;
}

void Interpreter::ExecuteBlock(const Statement& statement, Scope* scope) {
  Inside inside(*this, scope);
  Execute(statement.blocks[0]);
}

Interpreter::Flow Interpreter::ExecuteCaptured(const Statement& statement) {
  Flow flow = Flow::kNormal;
  std::string text = Captured([&] {
    Inside inside(*this, scope_);
    flow = Execute(statement.blocks[0]);
  });
  if (flow != Flow::kNormal) return flow;
  Value result = Printed(std::move(text));
  if (const Expression* filters = statement.expressions[0].get()) {
    const Value outer = std::exchange(block_text_, result);
    result = Evaluate(*filters);
    block_text_ = outer;
  }
  if (statement.kind == Statement::kSetBlock)
    Assign(*statement.targets[0], autoescape_ ? Value(result.Str(), true) : result);
  else
    Print(autoescape_ ? Value(result.Str(), true) : result);
  return Flow::kNormal;
}

// A loop that runs, and what its variable "loop" tells of it.
struct Interpreter::Loop {
  const Statement& statement;
  List elements;
  int depth;
  Scope* scope;  // around it
  size_t at = 0;
  List last_changed = {};
  bool has_changed = false;
};

Interpreter::Flow Interpreter::ExecuteFor(const Statement& statement) {
  List elements = ElementsOf(*this, Evaluate(*statement.expressions[0]));
  if (statement.flag)  // its variable can be called from elsewhere
    for (Scope* scope = scope_; scope && !scope->captured; scope = scope->parent) scope->captured = true;
  return ExecuteLoop(std::make_shared<Loop>(Loop{statement, std::move(elements), 1, scope_}));
}

Interpreter::Flow Interpreter::ExecuteLoop(const std::shared_ptr<Loop>& loop) {
  const Statement& statement = loop->statement;
  if (const Expression* filter = statement.expressions[1].get()) {
    std::erase_if(loop->elements, [&](const Value& element) {
      Inside inside(*this, loop->scope);
      Assign(*statement.targets[0], element);
      return !Evaluate(*filter).Truth();
    });
  }
  if (loop->elements.empty()) {
    Inside inside(*this, loop->scope);
    return Execute(statement.blocks[1]);
  }
  const Value variable = NewLoop(loop);
  for (loop->at = 0; loop->at < loop->elements.size(); ++loop->at) {
    Inside inside(*this, loop->scope);
    Put(scope_->variables, "loop", variable);
    Assign(*statement.targets[0], loop->elements[loop->at]);
    if (Execute(statement.blocks[0]) == Flow::kBreak) break;
  }
  return Flow::kNormal;
}

Value Interpreter::NewLoop(const std::shared_ptr<Loop>& loop) {
  Charge(sizeof(Loop));
  Object& object = NewObject("<LoopContext>");
  object.attribute = [this, loop](const std::string& name) { return LoopAttribute(*loop, name); };
  object.call = [this, loop](const Arguments& arguments) {
    if (!loop->statement.flag) Wrong("a loop calls itself only when it is marked \"recursive\"");
    if (arguments.positional.size() != 1) Wrong("loop() takes what to go through");
    auto inner = std::make_shared<Loop>(
        Loop{loop->statement, ElementsOf(*this, arguments.positional[0]), loop->depth + 1, loop->scope});
    const int line = line_;
    Value printed = Printed(Captured([&] { ExecuteLoop(inner); }));
    line_ = line;
    return printed;
  };
  return Value(&object);
}

Value Interpreter::LoopAttribute(Loop& loop, const std::string& name) {
  const auto at = static_cast<int64_t>(loop.at), count = static_cast<int64_t>(loop.elements.size());
  const std::pair<const char*, int64_t> numbers[] = {
      {"index", at + 1}, {"index0", at},        {"revindex", count - at},  {"revindex0", count - at - 1},
      {"length", count}, {"depth", loop.depth}, {"depth0", loop.depth - 1}};
  for (const auto& [known, value] : numbers)
    if (name == known) return Value(value);
  if (name == "first") return Value(at == 0);
  if (name == "last") return Value(at + 1 == count);
  if (name == "previtem")
    return at > 0 ? loop.elements[loop.at - 1] : Value::MakeUndefined("there is no previous item");
  if (name == "nextitem")
    return at + 1 < count ? loop.elements[loop.at + 1] : Value::MakeUndefined("there is no next item");
  if (name == "cycle")
    return NewFunction("<function cycle>", [&loop](const Arguments& arguments) {
      if (arguments.positional.empty()) Wrong("loop.cycle needs values");
      return arguments.positional[loop.at % arguments.positional.size()];
    });
  if (name == "changed")
    return NewFunction("<function changed>", [&loop](const Arguments& arguments) {
      const bool same = loop.has_changed && loop.last_changed == arguments.positional;
      loop.has_changed = true;
      if (!same) loop.last_changed = arguments.positional;
      return Value(!same);
    });
  return Value::MakeUndefined(fmt::format("'loop' has no attribute '{}'", name));
}

}  // namespace ecld::jinja
