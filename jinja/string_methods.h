#pragma once
// The methods of Python's strings.

#include <span>

#include "jinja/library.h"

namespace ecld::jinja {

std::span<const Row> StringMethods();

}  // namespace ecld::jinja
