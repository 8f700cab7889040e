#pragma once
// The texts of a task file: Jinja over the fields of a document, with the functions that the file defines.

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "eval/tasks/regex.h"

namespace ecld {

// text -> text: trims first, where strip; then every replacement in turn.
struct TextFunction {
  bool strip = false;
  std::vector<std::pair<Regex, std::string>> replacements;

  std::string operator()(std::string_view text) const;
};
using TextFunctions = std::map<std::string, TextFunction>;

class TextTemplate {
 public:
  // THROWS Error "where:line: ..." on a syntax error.
  TextTemplate(const std::string& source, const std::string& where);

  // fields: an object; its keys are variables. THROWS Error when the template uses what is not there.
  std::string Render(const Json& fields, const TextFunctions& functions) const;
  // The same, read as JSON. THROWS Error when it is none.
  Json RenderJson(const Json& fields, const TextFunctions& functions) const;

 private:
  struct Program;
  std::shared_ptr<const Program> program_;
};

}  // namespace ecld
