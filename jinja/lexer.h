#pragma once
// Cuts a template into text, output {{ }}, statements {% %} and, inside those, tokens. White space is cut as
// transformers sets Jinja up (trim_blocks, lstrip_blocks) and as "-" and "+" at the braces say.

#include <string>
#include <vector>

#include "jinja/value.h"

namespace ecld::jinja {

struct Token {
  enum Kind { kText, kOutputBegin, kOutputEnd, kTagBegin, kTagEnd, kName, kString, kInt, kFloat, kOperator, kEnd } kind;
  std::string text;  // of kText, kName, kOperator; the value of kString
  int line = 1;
  Value number = {};  // of kInt, kFloat

  bool Is(Kind other, const char* value) const { return kind == other && text == value; }
};

// The last token is kEnd. THROWS Error "where:line: ...".
std::vector<Token> Tokenize(const std::string& source, const std::string& where);

}  // namespace ecld::jinja
