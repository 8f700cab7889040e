// The template interpreter: what it prints, and that no template can hang it. Jinja itself is compared in tests/oracle.

#include "checkpoint/tokenizer/chat_template.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

const Json kMessages = Json::parse(R"([{"role": "system", "content": " Be brief. "},
                                       {"role": "user", "content": "Hi"}])");

std::string Render(const std::string& source, const Json& variables = Json::object()) {
  return ChatTemplate(source, "test").Render(kMessages, true, variables);
}

TEST(ChatTemplate, Conversation) {
  EXPECT_EQ(Render("{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m['content'] | trim }}{% endfor %}"
                   "{% if add_generation_prompt %}<assistant>{% endif %}",
                   {{"bos_token", "<s>"}}),
            "<s><system>Be brief.<user>Hi<assistant>");
}

TEST(ChatTemplate, WhiteSpaceIsCutAsTransformersDoes) {
  EXPECT_EQ(Render("a\n  {% if true %}\nb\n  {% endif %}\nc\n"), "a\nb\nc");
  EXPECT_EQ(Render("a \n {%- if true -%} \n b {%- endif %} c"), "ab c");
  EXPECT_EQ(Render("a\n  {{ 'x' }}\n"), "a\n  x");
  EXPECT_EQ(Render("a\n  {%+ if true +%}\nb{% endif %}"), "a\n  \nb");
  EXPECT_EQ(Render("a\r\n{# note #}\r\nb"), "a\nb");
}

TEST(ChatTemplate, Scopes) {
  EXPECT_EQ(Render("{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}"), "1");
  EXPECT_EQ(Render("{% set n = namespace(x=1) %}{% for i in [1] %}{% set n.x = 2 %}{% endfor %}{{ n.x }}"), "2");
  EXPECT_EQ(
      Render("{% set y = 5 %}{% macro m(x) %}{{ x }}{{ y }}{% endmacro %}{% for y in [1] %}{{ m(y) }}{% endfor %}"),
      "15");
}

TEST(ChatTemplate, ValuesPrintAsInPython) {
  EXPECT_EQ(Render("{{ [1, 2.0, 'a', none, true] }} {{ 1e16 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }}"),
            "[1, 2.0, 'a', None, True] 1e+16 -4 2 3.5");
  EXPECT_EQ(Render("{{ {'a': [1, 'é\\n']} | tojson }}"), "{\"a\": [1, \"é\\n\"]}");
  EXPECT_EQ(Render("{{ {'a': [1], 'b': {}} | tojson(indent=1) }}"), "{\n \"a\": [\n  1\n ],\n \"b\": {}\n}");
  EXPECT_EQ(Render("{{ 'héllo'[1:3] }}{{ 'héllo' | length }}{{ [1, 2, 3][::-1] }}"), "él5[3, 2, 1]");
}

TEST(ChatTemplate, UndefinedIsEmptyButHasNothing) {
  EXPECT_EQ(Render("[{{ nothing }}]{% for x in nothing %}x{% endfor %}{{ nothing | default('d') }}"), "[]d");
  EXPECT_ERROR(Render("{{ nothing.at_all }}"), "test:1: 'nothing' is undefined, so it has no attribute 'at_all'");
  EXPECT_ERROR(Render("\n\n{{ nothing + 1 }}"), "test:3: 'nothing' is undefined");
  EXPECT_ERROR(Render("{{ nothing() }}"), "'nothing' is undefined and cannot be called");
}

TEST(ChatTemplate, RaisesWhatTheTemplateRaises) {
  EXPECT_ERROR(Render("a\n{{ raise_exception('roles must alternate') }}"), "test:2: roles must alternate");
}

TEST(ChatTemplate, SaysWhatItCannotRead) {
  EXPECT_ERROR(Render("{% if x %}"), "the template ends before \"endif\"");
  EXPECT_ERROR(Render("{{ x "), "test:1: not closed with }}");
  EXPECT_ERROR(Render("a\n{# x "), "test:2: the comment is not closed");
  EXPECT_ERROR(Render("{{ 'x }}"), "the string is not closed");
  EXPECT_ERROR(Render("{% endif %}"), "\"endif\" ends nothing");
  EXPECT_ERROR(Render("{% include 'x' %}"), "tag \"include\" is not supported");
  EXPECT_ERROR(Render("{{ x | trimm }}"), "filter \"trimm\" is not supported (did you mean trim?)");
  EXPECT_ERROR(Render("{{ x is odder }}"), "test \"odder\" is not supported");
  EXPECT_ERROR(Render("{{ 1 + }}"), "expected a value, found }}");
  EXPECT_ERROR(Render("{{ x is defined is true }}"), "a test cannot follow a test");
  EXPECT_ERROR(Render("{{ (1] }}"), "expected \")\", found \"]\"");
  EXPECT_ERROR(Render("{{ f(a=1, 2) }}"), "the arguments of a call stand in this order");
  EXPECT_ERROR(Render("{% for loop in [] %}{% endfor %}"), "\"loop\" cannot be assigned to");
  EXPECT_ERROR(Render("{% set none = 1 %}"), "nothing can be assigned to \"none\"");
  EXPECT_ERROR(Render("{% macro f(a=1, b) %}{% endmacro %}"), "\"b\" needs a default");
  EXPECT_ERROR(Render("{% macro f(a, a) %}{% endmacro %}"), "two parameters are called \"a\"");
  EXPECT_ERROR(Render("{% call x %}{% endcall %}"), "expected the call of a macro");
  EXPECT_ERROR(Render("{% raw %}x"), "\"raw\" is not closed");
  EXPECT_ERROR(Render("{{ '\\x4' }}"), "the escape \\x needs 2 digits");
  EXPECT_ERROR(Render("{% do x %}"), "tag \"do\" is not supported");
  EXPECT_ERROR(Render("{% break %}"), "\"break\" outside a loop");
  EXPECT_ERROR(Render("{% set messages.x = 1 %}"), "attributes can be set on a namespace only");
}

TEST(ChatTemplate, ErrorsOfValues) {
  EXPECT_ERROR(Render("{{ 1 + 'a' }}"), "\"+\" does not work on int and string");
  EXPECT_ERROR(Render("{{ 1 // 0 }}"), "division by zero");
  EXPECT_ERROR(Render("{{ [].append(1) }}"), "'append' would change a list");
  EXPECT_ERROR(Render("{{ {[]: 1} }}"), "a value of type list cannot be the key of a dict");
  EXPECT_ERROR(Render("{{ messages | map('upper') | length }}"), "a value of type iterator has no length");
  EXPECT_ERROR(Render("{{ 'a' | upper(1) }}"), "upper takes at most 0 arguments, 1 were given");
  EXPECT_ERROR(Render("{{ 'a' | replace(old='a') }}"), "replace needs the argument \"new\"");
  EXPECT_ERROR(Render("{{ 'a' | trim(x=1) }}"), "trim takes no argument \"x\"");
  EXPECT_ERROR(Render("{{ '%d' % 'a' }}"), "\"%d\" needs a number, found string");
  EXPECT_ERROR(Render("{{ '%s%s' % 'a' }}"), "fewer values than places");
  EXPECT_ERROR(Render("{{ '{0:d}'.format('a') }}"), "does not work on a string");
  EXPECT_ERROR(Render("{% set n = namespace(_a=1) %}"), "names with _ before them are not allowed");
  EXPECT_ERROR(Render("{{ range | tojson }}"), "JSON cannot hold a value of type function");
  EXPECT_ERROR(Render("{{ 1 < 'a' }}"), "values of types int and string have no order");
}

TEST(ChatTemplate, NothingRunsForever) {
  EXPECT_ERROR(Render("{% for i in range(1000000000000) %}{% endfor %}"), "a range of more than 100000 numbers");
  EXPECT_ERROR(Render("{% for i in range(100000) %}{% for j in range(100) %}{% endfor %}{% endfor %}"),
               "does not come to an end");
  EXPECT_ERROR(Render("{% set n = namespace(s='x') %}{% for i in range(100) %}{% set n.s = n.s ~ n.s %}{% endfor %}"),
               "does not come to an end");
  EXPECT_ERROR(Render("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), "macros call each other deeper than");
  EXPECT_ERROR(Render("{% set n = namespace(l=[]) %}{% for i in range(200) %}{% set n.l = [n.l] %}{% endfor %}"),
               "nested deeper than 100 levels");
  EXPECT_ERROR(Render("{% set n = namespace() %}{% set n.n = [n] %}{{ n }}"), "a value that holds itself");
  EXPECT_ERROR(Render("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}"), "nested deeper than 1000 levels");
  EXPECT_ERROR(Render("{{ 2 ** 10000000 }}"), "an integer of more than 1000000 bits");
  EXPECT_ERROR(Render("{{ 10 ** 5000 }}"), "an integer of more than 4300 digits");
  EXPECT_ERROR(Render("{{ '%999999999d' % 1 }}"), "the width is out of range");
  EXPECT_ERROR(Render("{{ [0] * 10000000000 }}"), "does not come to an end");
  EXPECT_ERROR(Render("{{ 'x' * 100000000000 }}"), "does not come to an end");
  EXPECT_ERROR(Render("{{ " + std::string(1000, '(') + "1" + std::string(1000, ')') + " }}"),
               "nested deeper than 200 levels");
  EXPECT_ERROR(Render("{{ " + std::string(1000, '-') + "1 }}"), "nested deeper than 200 levels");
}

}  // namespace
}  // namespace ecld
