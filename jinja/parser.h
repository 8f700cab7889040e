#pragma once
// Template source to statements: the grammar of Jinja, with the tags generation, break and continue that transformers
// adds. What takes from another template (include, import, extends) is read, and an error when it is reached.

#include <string>

#include "jinja/ast.h"

namespace ecld::jinja {

// THROWS Error "where:line: ..." on a syntax error, a tag, filter or test that is not supported.
Program Parse(const std::string& source, const std::string& where);

}  // namespace ecld::jinja
