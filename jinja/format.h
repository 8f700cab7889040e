#pragma once
// Python's two ways to format text: "%s %5.2f" % values, and "{} {name:>5}".format(...).

#include <string>

#include "jinja/interpreter.h"

namespace ecld::jinja {

// format % values: a tuple of values, a dict for %(name)s, or one value. THROWS Problem as Python raises.
Value PercentFormat(Interpreter& interpreter, const Value& format, const Value& values);
Value BraceFormat(Interpreter& interpreter, const Value& format, const Arguments& arguments);

}  // namespace ecld::jinja
