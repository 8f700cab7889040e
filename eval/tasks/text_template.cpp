#include "eval/tasks/text_template.h"

#include <deque>

#include "core/error.h"
#include "jinja/interpreter.h"
#include "jinja/parser.h"
#include "jinja/text.h"

namespace ecld {

struct TextTemplate::Program {
  std::string where;
  jinja::Program program;
};

std::string TextFunction::operator()(std::string_view text) const {
  std::string out = strip ? jinja::Strip(text, nullptr, true, true) : std::string(text);
  for (const auto& [regex, with] : replacements) out = regex.Replace(out, with);
  return out;
}

TextTemplate::TextTemplate(const std::string& source, const std::string& where)
    // Chat templates lose a line feed at their end, these keep it.
    : program_(std::make_shared<const Program>(
          Program{where, jinja::Parse(source.ends_with('\n') ? source + "\n" : source, where)})) {}

std::string TextTemplate::Render(const Json& fields, const TextFunctions& functions) const {
  jinja::Named scope;
  std::deque<jinja::Object> objects;  // the functions, for as long as the template runs
  for (const auto& [key, value] : fields.items()) scope.emplace_back(key, jinja::Value::FromJson(value));
  for (const auto& [name, function] : functions) {
    const auto call = [&function = function, &name = name](const jinja::Arguments& arguments) {
      if (arguments.positional.size() != 1 || !arguments.positional[0].AsString())
        jinja::Wrong(fmt::format(
            "{}() needs a text{}", name,
            arguments.positional.empty() ? "" : fmt::format(", found {}", arguments.positional[0].TypeName())));
      return jinja::Value(function(*arguments.positional[0].AsString()));
    };
    scope.emplace_back(name, jinja::Value(&objects.emplace_back(jinja::Object{.text = name, .call = call})));
  }
  return jinja::Interpreter(program_->program, program_->where).Run(scope);
}

Json TextTemplate::RenderJson(const Json& fields, const TextFunctions& functions) const {
  return ParseJson(Render(fields, functions), program_->where);
}

}  // namespace ecld
