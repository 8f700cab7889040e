#pragma once
// What the JSON files of a model may say: tables of fields, a line a field with a word why. Every field is applied,
// known to be without effect, told, or refused by name; one that stands in no table is told once and passed over
// (TellFields), or refused where every field matters (RequireKeys). The tables hold what
// the classes of transformers define, which an oracle test checks; fields of other families and tools are not known.

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace ecld {

enum class FieldUse {
  kApplied,   // done as it says
  kNoEffect,  // on nothing that is computed or written here
  kTold,      // has an effect in other programs and none here: told, unless its value asks for nothing
  kRefused,   // the model would compute something else: an Error, unless its value asks for nothing
};

struct KnownField {
  std::string_view name;  // "*_token": whatever ends so
  FieldUse use;
  std::string_view why = "";     // kTold, kRefused: what it asks for; kNoEffect: why it has none
  std::string_view idle = "{}";  // kTold, kRefused: JSON of the value that asks for nothing, as null, [] and {} do
};
using FieldTable = std::span<const KnownField>;

// Whether the object has a kTold or kRefused field with a value that asks for something.
bool AsksForMore(const JsonView& object, const KnownField& field);

// What is to be told of this object's fields, a sentence each: those of no table, and each kTold one.
// THROWS Error at the key of a kRefused one.
std::vector<std::string> TellFields(const JsonView& object, std::initializer_list<FieldTable> tables);

// For objects of which every field changes what the model or its tokens are: THROWS Error naming the first one that is
// not among known, with the nearest one that is.
void RequireKeys(const JsonView& object, const std::vector<std::string>& known);

// A key that, where it is there, may hold one of these texts alone (in small letters; it may have them of either size).
// THROWS Error.
void RequireOneOf(const JsonView& object, const char* key, const std::vector<std::string>& values);

}  // namespace ecld
