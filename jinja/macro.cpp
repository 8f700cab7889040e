// The part of the interpreter that makes and calls macros.

#include <algorithm>

#include "core/error.h"
#include "jinja/interpreter.h"

namespace ecld::jinja {

Value Interpreter::NewMacro(const Statement& statement) {
  for (Scope* scope = scope_; scope && !scope->captured; scope = scope->parent) scope->captured = true;
  Object& object = NewObject(fmt::format("<Macro '{}'>", statement.text));
  object.call = [this, &statement, scope = scope_, autoescape = autoescape_](const Arguments& arguments) {
    return CallMacro(statement, scope, autoescape, arguments);
  };
  List names;
  for (const std::string& name : statement.names) names.push_back(Value(name));
  object.attributes = {{"name", Value(statement.text)},
                       {"arguments", Value::Tuple(std::move(names))},
                       {"caller", Value(statement.takes_caller)},
                       {"catch_varargs", Value(statement.takes_more)},
                       {"catch_kwargs", Value(statement.takes_more_named)}};
  return Value(&object);
}

Value Interpreter::CallMacro(const Statement& statement, Scope* scope, bool autoescape, const Arguments& arguments) {
  constexpr int kMaxCalls = 100;
  if (calls_ >= kMaxCalls) Wrong(fmt::format("macros call each other deeper than {} levels", kMaxCalls));
  ++calls_;
  const int line = line_;
  std::string text;
  {
    Inside inside(*this, scope);
    AssignArguments(statement, arguments);
    const bool outer = std::exchange(autoescape_, autoescape);
    text = Captured([&] { Execute(statement.blocks[0]); });
    autoescape_ = outer;
  }
  line_ = line;
  --calls_;
  return Printed(std::move(text));
}

void Interpreter::AssignArguments(const Statement& statement, const Arguments& arguments) {
  const std::string who = fmt::format("macro \"{}\"", statement.text);
  Named named = arguments.named;
  auto take = [&](const std::string& name, Value* value) {
    const Value* found = Find(named, name);
    if (!found) return false;
    *value = *found;
    std::erase_if(named, [&](const auto& entry) { return entry.first == name; });
    return true;
  };
  for (size_t i = 0; i < statement.names.size(); ++i) {
    const std::string& name = statement.names[i];
    Value value = Value::MakeUndefined(fmt::format("parameter '{}' was not provided", name));
    if (i < arguments.positional.size())
      value = arguments.positional[i];
    else if (!take(name, &value) && statement.expressions[i])
      value = Evaluate(*statement.expressions[i]);
    Put(scope_->variables, name, std::move(value));
  }
  if (statement.takes_caller) {
    Value caller = Value::MakeUndefined("'caller' is undefined: the macro was not called by a call block");
    take("caller", &caller);
    Put(scope_->variables, "caller", std::move(caller));
  }
  if (statement.takes_more_named) {
    Dict rest;
    for (const auto& [name, value] : named) Put(rest, Value(name), value);
    Put(scope_->variables, "kwargs", Value(std::move(rest)));
  } else if (!named.empty()) {
    Wrong(fmt::format("{} takes no argument \"{}\"", who, named[0].first));
  }
  const size_t known = std::min(statement.names.size(), arguments.positional.size());
  List more(arguments.positional.begin() + static_cast<ptrdiff_t>(known), arguments.positional.end());
  if (statement.takes_more)
    Put(scope_->variables, "varargs", Value::Tuple(std::move(more)));
  else if (!more.empty())
    Wrong(fmt::format("{} takes {} arguments, {} were given", who, known, arguments.positional.size()));
}

}  // namespace ecld::jinja
