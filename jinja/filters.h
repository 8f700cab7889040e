#pragma once
// The filters, in three tables, and what these share.

#include <span>
#include <string>

#include "jinja/interpreter.h"

namespace ecld::jinja {

std::span<const Row> TextFilters();
std::span<const Row> NumberFilters();
std::span<const Row> SequenceFilters();  // of lists, dicts and what can be gone through

// What "attribute" arguments name: "a", "a.b", "0.a" or an index; with a fallback for what is undefined on the way.
Value AttributePath(Interpreter& interpreter, const Value& item, const Value& path, const Value* fallback = nullptr);

}  // namespace ecld::jinja
