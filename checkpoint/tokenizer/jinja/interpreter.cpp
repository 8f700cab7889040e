#include "checkpoint/tokenizer/jinja/interpreter.h"

#include <algorithm>
#include <array>
#include <ctime>

#include "core/error.h"

namespace ecld::jinja {
namespace {

constexpr int kMaxCallDepth = 50;
constexpr size_t kMaxWork = 4'000'000;
constexpr size_t kBytesPerStep = 64;  // making this many bytes costs as much as one step

}  // namespace

void Interpreter::Wrong(const std::string& message) const { throw Error(fmt::format("{}:{}", where_, line_), message); }

void Interpreter::Charge(size_t bytes_or_elements) {
  work_ += 1 + bytes_or_elements / kBytesPerStep;
  if (work_ > kMaxWork) Wrong("the template does not come to an end (too many steps)");
}

std::string Interpreter::Run(const Dict& variables) {
  AddBuiltins();
  scopes_ = {variables};
  Execute(program_);
  return std::move(out_);
}

void Interpreter::AddBuiltins() {
  auto add = [&](const char* name, Function function) {
    builtins_.emplace_back(name, Value(std::move(function), Value()));
  };
  add("raise_exception", [this](const Arguments& arguments) -> Value { Wrong(arguments.Get(0, "message").Str()); });
  add("namespace", [](const Arguments& arguments) { return Value::Namespace(arguments.named); });
  add("dict", [](const Arguments& arguments) { return Value(arguments.named); });
  add("range", [this](const Arguments& arguments) {
    std::array<int64_t, 3> bounds = {0, 0, 1};  // start, stop, step
    size_t count = arguments.positional.size();
    if (count < 1 || count > 3) Wrong("range takes 1 to 3 numbers");
    for (size_t i = 0; i < count; ++i) {
      if (!arguments.positional[i].AsInt()) Wrong("range takes integers");
      bounds[count == 1 ? 1 : i] = *arguments.positional[i].AsInt();
    }
    if (bounds[2] == 0) Wrong("range with step 0");
    List list;
    for (int64_t i = bounds[0]; bounds[2] > 0 ? i < bounds[1] : i > bounds[1];) {
      Charge(0);
      list.push_back(Value(i));
      if (__builtin_add_overflow(i, bounds[2], &i)) break;
    }
    return Value(std::move(list));
  });
  add("strftime_now", [](const Arguments& arguments) {
    std::time_t now = std::time(nullptr);
    std::tm local{};
    localtime_r(&now, &local);
    char text[256];
    size_t size = std::strftime(text, sizeof text, arguments.Get(0, "format").Str().c_str(), &local);
    return Value(std::string(text, size));
  });
}

Value Interpreter::Lookup(const std::string& name) const {
  for (size_t i = scopes_.size(); i-- > frame_;)
    if (const Value* value = Find(scopes_[i], name)) return *value;
  if (const Value* value = Find(scopes_[0], name)) return *value;
  if (const Value* value = Find(builtins_, name)) return *value;
  return Value(Undefined{name});
}

void Interpreter::Assign(const std::string& name, Value value) {
  Scope& scope = scopes_.back();
  auto entry = std::find_if(scope.begin(), scope.end(), [&](const auto& e) { return e.first == name; });
  if (entry == scope.end())
    scope.emplace_back(name, std::move(value));
  else
    entry->second = std::move(value);
}

void Interpreter::Unpack(const std::vector<std::string>& names, const Value& value) {
  if (names.size() == 1) {
    Assign(names[0], value);
    return;
  }
  List elements = ElementsOf(*this, value);
  if (elements.size() != names.size()) Wrong(fmt::format("{} values for {} names", elements.size(), names.size()));
  for (size_t i = 0; i < names.size(); ++i) Assign(names[i], elements[i]);
}

Interpreter::Flow Interpreter::Execute(const Block& block) {
  for (const Statement& statement : block)
    if (Flow flow = ExecuteOne(statement); flow != Flow::kNormal) return flow;
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::ExecuteOne(const Statement& statement) {
  line_ = statement.line;
  Charge(statement.text.size());
  switch (statement.kind) {
    case Statement::kText:
      out_ += statement.text;
      break;
    case Statement::kOutput: {
      std::string text = Evaluate(*statement.expressions[0]).Str();
      Charge(text.size());
      out_ += text;
      break;
    }
    case Statement::kIf:
      return ExecuteIf(statement);
    case Statement::kFor:
      return ExecuteFor(statement);
    case Statement::kSet:
      ExecuteSet(statement);
      break;
    case Statement::kSetBlock:
      Assign(statement.names[0], Value(Captured(statement.blocks[0])));
      break;
    case Statement::kMacro:
      DefineMacro(statement);
      break;
    case Statement::kScope: {
      scopes_.emplace_back();
      Flow flow = Execute(statement.blocks[0]);
      scopes_.pop_back();
      return flow;
    }
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

void Interpreter::ExecuteSet(const Statement& statement) {
  Value value = Evaluate(*statement.expressions[0]);
  if (statement.attribute.empty()) {
    Unpack(statement.names, value);
    return;
  }
  Value target = Lookup(statement.names[0]);
  if (!target.IsNamespace())
    Wrong(fmt::format("attributes can be set on a namespace only, and \"{}\" is {}", statement.names[0],
                      target.TypeName()));
  target.SetAttribute(statement.attribute, std::move(value));
}

Interpreter::Flow Interpreter::ExecuteFor(const Statement& statement) {
  List elements = ElementsOf(*this, Evaluate(*statement.expressions[0]));
  if (statement.expressions[1]) {
    List kept;
    for (const Value& element : elements) {
      scopes_.emplace_back();
      Unpack(statement.names, element);
      if (Evaluate(*statement.expressions[1]).Truth()) kept.push_back(element);
      scopes_.pop_back();
    }
    elements = std::move(kept);
  }
  if (elements.empty()) {
    scopes_.emplace_back();
    Flow flow = Execute(statement.blocks[1]);
    scopes_.pop_back();
    return flow;
  }
  auto count = static_cast<int64_t>(elements.size());
  for (int64_t i = 0; i < count; ++i) {
    auto at = static_cast<size_t>(i);
    Dict loop = {{"index", Value(i + 1)},
                 {"index0", Value(i)},
                 {"revindex", Value(count - i)},
                 {"revindex0", Value(count - i - 1)},
                 {"first", Value(i == 0)},
                 {"last", Value(i + 1 == count)},
                 {"length", Value(count)},
                 {"previtem", i > 0 ? elements[at - 1] : Value()},
                 {"nextitem", i + 1 < count ? elements[at + 1] : Value()}};
    Function cycle = [this, at](const Arguments& arguments) {
      if (arguments.positional.empty()) Wrong("loop.cycle needs values");
      return arguments.positional[at % arguments.positional.size()];
    };
    loop.emplace_back("cycle", Value(std::move(cycle), Value()));
    scopes_.emplace_back();
    Unpack(statement.names, elements[at]);
    Assign("loop", Value(std::move(loop)));
    Flow flow = Execute(statement.blocks[0]);
    scopes_.pop_back();
    if (flow == Flow::kBreak) break;
  }
  return Flow::kNormal;
}

std::string Interpreter::Captured(const Block& block) {
  std::string outer = std::exchange(out_, "");
  scopes_.emplace_back();
  Execute(block);
  scopes_.pop_back();
  Charge(out_.size());
  return std::exchange(out_, std::move(outer));
}

void Interpreter::DefineMacro(const Statement& statement) {
  Function function = [this, &statement](const Arguments& arguments) { return CallMacro(statement, arguments); };
  Assign(statement.text, Value(std::move(function), Value()));
}

Value Interpreter::CallMacro(const Statement& statement, const Arguments& arguments) {
  if (++depth_ > kMaxCallDepth) Wrong(fmt::format("macros call each other deeper than {} levels", kMaxCallDepth));
  if (arguments.positional.size() > statement.names.size())
    Wrong(fmt::format("macro {} takes {} arguments, {} were given", statement.text, statement.names.size(),
                      arguments.positional.size()));
  size_t outer_frame = std::exchange(frame_, scopes_.size());
  int outer_line = line_;
  scopes_.emplace_back();
  for (size_t i = 0; i < statement.names.size(); ++i) {
    Value value = arguments.Get(i, statement.names[i]);
    if (value.IsUndefined() && statement.expressions[i]) value = Evaluate(*statement.expressions[i]);
    Assign(statement.names[i], std::move(value));
  }
  Value result(Captured(statement.blocks[0]));
  scopes_.pop_back();
  frame_ = outer_frame;
  line_ = outer_line;
  --depth_;
  return result;
}

}  // namespace ecld::jinja
