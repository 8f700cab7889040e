#pragma once
// Template source to statements. The grammar is Jinja's without inheritance, imports and calls with a body.

#include <string>

#include "checkpoint/tokenizer/jinja/ast.h"

namespace ecld::jinja {

// THROWS Error "where:line: ..." on a syntax error or a tag that is not supported.
Block Parse(const std::string& source, const std::string& where);

}  // namespace ecld::jinja
