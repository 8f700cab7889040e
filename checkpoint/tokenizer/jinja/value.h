#pragma once
// The values of a chat template: those of JSON, plus undefined, namespaces and functions. Copies are cheap: strings and
// containers are shared and never change, except namespaces, whose attributes can be set.
// Printing, comparing and truth follow Python, since templates are written against Jinja in Python.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/json.h"

namespace ecld::jinja {

class Value;
using List = std::vector<Value>;
using Dict = std::vector<std::pair<std::string, Value>>;  // in order of insertion

struct Arguments {
  List positional;
  Dict named;
  // The argument at a position or with a name; undefined when not given.
  Value Get(size_t position, std::string_view name) const;
};
using Function = std::function<Value(const Arguments&)>;

struct Undefined {
  std::string name;  // what was looked for
};
struct None {};

class Value {
 public:
  Value() : data_(Undefined{}) {}
  explicit Value(Undefined undefined) : data_(std::move(undefined)) {}
  explicit Value(None none) : data_(none) {}
  explicit Value(bool value) : data_(value) {}
  explicit Value(int64_t value) : data_(value) {}
  explicit Value(double value) : data_(value) {}
  explicit Value(std::string text) : data_(std::make_shared<const std::string>(std::move(text))) {}
  explicit Value(const char*) = delete;  // would be taken for a bool
  // THROWS Error when nested deeper than kMaxDepth.
  explicit Value(List list);
  explicit Value(Dict dict);
  // depends_on: what the function keeps alive.
  explicit Value(Function function, const Value& depends_on);
  static Value Namespace(const Dict& attributes);
  // THROWS Error when nested deeper than kMaxDepth.
  static Value FromJson(const Json& json);

  bool IsUndefined() const { return std::holds_alternative<Undefined>(data_); }
  bool IsNone() const { return std::holds_alternative<None>(data_); }
  const bool* AsBool() const { return std::get_if<bool>(&data_); }
  const int64_t* AsInt() const { return std::get_if<int64_t>(&data_); }
  const double* AsFloat() const { return std::get_if<double>(&data_); }
  bool IsNumber() const { return AsBool() || AsInt() || AsFloat(); }
  double Number() const;  // REQUIRES IsNumber()
  // nullptr for a value of another kind.
  const std::string* AsString() const { return Pointee<const std::string>(); }
  const List* AsList() const;
  const Dict* AsDict() const;  // not for namespaces
  const Function* AsFunction() const;
  bool IsNamespace() const { return std::holds_alternative<std::shared_ptr<Attributes>>(data_); }
  // REQUIRES IsNamespace(). THROWS Error for a value that holds a namespace, which could hold itself.
  Value GetAttribute(std::string_view name) const;
  void SetAttribute(const std::string& name, Value value);

  bool Truth() const;
  std::string Str() const;   // what {{ value }} prints: str() of Python
  std::string Repr() const;  // repr() of Python, for what is inside containers
  // json.dumps(ensure_ascii=False). indent < 0: on one line. THROWS Error for what JSON cannot hold.
  std::string ToJson(int indent, int level = 0) const;
  std::string_view TypeName() const;
  const std::string& UndefinedName() const { return std::get<Undefined>(data_).name; }

  friend bool operator==(const Value& a, const Value& b);

 private:
  static constexpr int kMaxDepth = 100;
  struct Nesting {
    int depth = 0;
    bool holds_namespace = false;
    void Add(const Value& inner);
  };
  template <class T>
  struct Nested {
    T value;
    Nesting nesting;
  };
  struct Attributes {
    Dict entries;
  };
  template <class T>
  T* Pointee() const {
    auto* pointer = std::get_if<std::shared_ptr<T>>(&data_);
    return pointer ? pointer->get() : nullptr;
  }
  Nesting GetNesting() const;

  std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const std::string>,
               std::shared_ptr<const Nested<List>>, std::shared_ptr<const Nested<Dict>>,
               std::shared_ptr<const Nested<Function>>, std::shared_ptr<Attributes>>
      data_;
};

// The entry of a dict, or nullptr.
const Value* Find(const Dict& dict, std::string_view key);

// The characters of a string; positions in templates count these, not bytes.
std::vector<std::string_view> Characters(std::string_view text);

}  // namespace ecld::jinja
