#pragma once
// The values of a chat template: those of JSON, plus what Jinja has beside them (undefined, tuples, ranges, iterators,
// functions, namespaces). Copies are cheap: texts and containers are shared and never change, as in the sandbox that
// transformers renders in; only an iterator is used up, and an Object can be set attributes.
// Printing, comparing and truth follow Python, since templates are written against Jinja in Python.

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/json.h"

namespace ecld::jinja {

// What goes wrong while a template runs; the interpreter makes it an Error that has file and line.
class Problem : public std::runtime_error {
  using std::runtime_error::runtime_error;
};
[[noreturn]] void Wrong(const std::string& message);  // THROWS Problem

class Value;
class BigInteger;  // integer.h
struct Sequence;
struct Object;
using List = std::vector<Value>;
using Dict = std::vector<std::pair<Value, Value>>;  // in order of insertion; keys are hashable
using Named = std::vector<std::pair<std::string, Value>>;

struct Arguments {
  List positional;
  Named named;
};
using Function = std::function<Value(const Arguments&)>;

struct Undefined {
  std::shared_ptr<const std::string> why = nullptr;  // "'x' is undefined"
};
struct None {};

class Value {
 public:
  Value() : data_(Undefined{}) {}
  static Value MakeUndefined(std::string why);
  explicit Value(None none) : data_(none) {}
  explicit Value(bool value) : data_(value) {}
  explicit Value(int64_t value) : data_(value) {}
  explicit Value(std::shared_ptr<const BigInteger> value) : data_(std::move(value)) {}
  explicit Value(double value) : data_(value) {}
  // markup: text that is escaped already, so that autoescape and "e" leave it alone.
  explicit Value(std::string text, bool markup = false)
      : data_(Text{std::make_shared<const std::string>(std::move(text)), markup}) {}
  explicit Value(const char*) = delete;  // would be taken for a bool
  // THROWS Problem when nested deeper than kMaxDepth.
  explicit Value(List list);
  explicit Value(Sequence sequence);
  explicit Value(Dict dict);
  explicit Value(Object* object) : data_(object) {}  // owned by the interpreter
  // THROWS Problem when nested deeper than kMaxDepth.
  static Value FromJson(const Json& json);
  static Value Tuple(List elements);
  static Value Iterator(List elements);

  bool IsUndefined() const { return std::holds_alternative<Undefined>(data_); }
  bool IsNone() const { return std::holds_alternative<None>(data_); }
  const bool* AsBool() const { return std::get_if<bool>(&data_); }
  const int64_t* AsInt() const { return std::get_if<int64_t>(&data_); }
  const BigInteger* AsBig() const;
  const double* AsFloat() const { return std::get_if<double>(&data_); }
  bool IsInteger() const { return AsBool() || AsInt() || AsBig(); }  // as in Python, a bool is one
  bool IsNumber() const { return IsInteger() || AsFloat(); }
  double Number() const;  // REQUIRES IsNumber()
  // nullptr for a value of another kind.
  const std::string* AsString() const;
  bool IsMarkup() const;
  const Sequence* AsSequence() const;
  const List* AsList() const;  // the elements of what has numbered ones: list, tuple, range
  const Dict* AsDict() const;
  Object* AsObject() const;
  bool IsHashable() const;

  bool Truth() const;
  std::string Str() const;   // what {{ value }} prints: str() of Python
  std::string Repr() const;  // repr() of Python, for what is inside containers
  std::string_view TypeName() const;
  std::string WhyUndefined() const;  // REQUIRES IsUndefined()

  friend bool operator==(const Value& a, const Value& b);

 private:
  static constexpr int kMaxDepth = 100;
  struct Text {
    std::shared_ptr<const std::string> text;
    bool markup;
  };
  struct DeepDict {
    Dict entries;
    int depth;
  };
  int Depth() const;
  void AppendRepr(std::string& out, int level) const;

  std::variant<Undefined, None, bool, int64_t, std::shared_ptr<const BigInteger>, double, Text,
               std::shared_ptr<const Sequence>, std::shared_ptr<const DeepDict>, Object*>
      data_;
};

struct Sequence {
  enum Kind { kList, kTuple, kGroup, kRange, kKeys, kValues, kItems, kIterator } kind = kList;
  List elements = {};
  std::string text = {};  // what a range prints as
  int depth = 0;
  mutable size_t used = 0;  // the elements of an iterator that were taken

  bool IsTuple() const { return kind == kTuple || kind == kGroup; }
  bool IsNumbered() const { return kind == kList || kind == kRange || IsTuple(); }
};

// A function, a macro, a loop, a namespace: what has attributes of its own. The interpreter owns all of them until a
// template has run, so that they may hold one another.
struct Object {
  std::string text;  // what it prints as
  Function call = nullptr;
  std::function<Value(const std::string& name)> attribute = nullptr;  // instead of attributes
  Named attributes = {};
  bool is_namespace = false;
};

// The entry of a dict, or nullptr.
const Value* Find(const Dict& dict, const Value& key);
const Value* Find(const Dict& dict, std::string_view key);
const Value* Find(const Named& named, std::string_view name);
void Put(Dict& dict, Value key, Value value);
void Put(Named& named, const std::string& name, Value value);

// As Python's json.dumps.
struct JsonStyle {
  bool ensure_ascii = false, sort_keys = false, lines = false;
  std::string indent = {}, item_separator = ", ", key_separator = ": ";
};
// THROWS Problem for what JSON cannot hold.
std::string ToJson(const Value& value, const JsonStyle& style);

// The characters of a string; positions in templates count these, not bytes.
std::vector<std::string_view> Characters(std::string_view text);
size_t CountCharacters(std::string_view text);

}  // namespace ecld::jinja
