// What the statements, values, filters and methods of a template print. Right values are those of Jinja in Python.

#include <gtest/gtest.h>

#include <string>

#include "checkpoint/tokenizer/chat_template.h"
#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

const Json kMessages = Json::parse(R"([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}])");

std::string Render(const std::string& source, const Json& variables = Json::object()) {
  return ChatTemplate(source, "test").Render(kMessages, true, variables);
}

TEST(ChatTemplateLanguage, Macros) {
  EXPECT_EQ(Render("{% macro f(a, b='z') %}[{{ a }}{{ b }}]{% endmacro %}{{ f(1) }}{{ f(b=2, a=3) }}"), "[1z][32]");
  EXPECT_EQ(Render("{% macro f(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, k=3) }}"),
            "1(2,){'k': 3}");
  EXPECT_EQ(Render("{% macro f(x) %}<{{ caller(x, 1) }}>{% endmacro %}{% call(y, z) f(3) %}{{ y + z }}{% endcall %}"),
            "<4>");
  EXPECT_EQ(Render("{% macro f() %}{{ caller is defined }}{% endmacro %}{{ f() }}{% call f() %}{% endcall %}"),
            "FalseTrue");
  EXPECT_EQ(Render("{% for i in [7] %}{% macro f() %}{{ i }}{% endmacro %}{{ f() }}{% endfor %}"), "7");
  EXPECT_EQ(Render("{% set n = namespace() %}{% for i in [7] %}{% macro f() %}{{ i }}{% endmacro %}{% set n.f = f %}"
                   "{% endfor %}{{ n.f() }}"),
            "7");
  EXPECT_ERROR(Render("{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}"), "macro \"f\" takes 1 arguments, 2 were given");
  EXPECT_ERROR(Render("{% macro f(a) %}{% endmacro %}{{ f(b=2) }}"), "macro \"f\" takes no argument \"b\"");
  EXPECT_ERROR(Render("{% macro f() %}{% endmacro %}{% call f() %}{% endcall %}"), "takes no argument \"caller\"");
}

TEST(ChatTemplateLanguage, Blocks) {
  EXPECT_EQ(Render("{% filter upper | replace('B', 'x') %}a{{ 'b' }}{% endfilter %}"), "Ax");
  EXPECT_EQ(Render("{% set x | trim | upper %} a {% endset %}{{ x }}"), "A");
  EXPECT_EQ(Render("{% with a = 1, b = a %}{{ a }}{{ b is defined }}{% endwith %}"), "1False");
  EXPECT_EQ(Render("{% raw %}{{ x }}{% endraw %}{% print 1, 2 %}"), "{{ x }}12");
  EXPECT_EQ(Render("{% block a %}x{% endblock a %}{{ self.a() }}"), "xx");
  EXPECT_EQ(Render("{% generation %}said{% endgeneration %}"), "said");
  EXPECT_EQ(Render("{% autoescape true %}{{ '<' }}{{ '<' | safe }}{% endautoescape %}{{ '<' }}"), "&lt;<<");
  EXPECT_EQ(Render("{{ '<b>' | safe + '<' }}{{ ('<'|e).join(['<', 1]) }}"), "<b>&lt;&lt;&lt;1");
}

TEST(ChatTemplateLanguage, Loops) {
  EXPECT_EQ(Render("{% for x in [[1, [2]]] recursive %}{% if x is iterable %}{{ loop.depth }}{{ loop(x) }}"
                   "{% else %}{{ x }}{% endif %}{% endfor %}"),
            "1122");
  EXPECT_EQ(Render("{% for x in [1, 1, 2] %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x) }},{% endfor %}"),
            "aTrue,bFalse,aTrue,");
  EXPECT_EQ(Render("{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}"), "123");
  EXPECT_EQ(Render("{% for x in [1, 2, 3] if x != 2 %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }}{% endfor %}"),
            "<1>31<3>");
  EXPECT_EQ(Render("{% for x in [] %}{% else %}none{% endfor %}"), "none");
  EXPECT_EQ(Render("{% for i in range(9) %}{% if i is odd %}{% continue %}{% elif i > 5 %}{% break %}{% endif %}"
                   "{{ i }}{% endfor %}"),
            "024");
  EXPECT_EQ(Render("{% set c = cycler(1, 2) %}{{ c.next() }}{{ c.next() }}{{ c.current }}"), "121");
  EXPECT_EQ(Render("{% set j = joiner('|') %}{{ j() }}a{{ j() }}b"), "a|b");
}

TEST(ChatTemplateLanguage, Operators) {
  EXPECT_EQ(Render("{{ 1 < 2 < 3 }}{{ 1 < 3 < 2 }}{{ 'a' not in 'bc' }}"), "TrueFalseTrue");
  EXPECT_EQ(Render("{{ 2 ** 10 }} {{ -2 ** 2 }} {{ 2 ** -1 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }}"), "1024 4 0.5 3.0 0.5");
  EXPECT_EQ(Render("{{ 12345678901234567890123 }} {{ 9223372036854775807 + 1 }} {{ -(2 ** 64) // 3 }}"),
            "12345678901234567890123 9223372036854775808 -6148914691236517206");
  EXPECT_EQ(Render("{{ 0x1f }} {{ 0b101 }} {{ 1_000 }} {{ 1e3 }} {{ 'a' 'b' }}"), "31 5 1000 1000.0 ab");
  EXPECT_EQ(Render("{{ (1,) }} {{ () }} {{ [1] + [2] }} {{ (1,) * 2 }} {{ {1: 'a', none: 2} }}"),
            "(1,) () [1, 2] (1, 1) {1: 'a', None: 2}");
  EXPECT_EQ(Render("{{ [1, 2] < [1, 3] }}{{ (1, 2) == [1, 2] }}{{ 1 == 1.0 == true }}"), "TrueFalseTrue");
  EXPECT_EQ(Render("{{ 'héllo'[::-2] }} {{ range(5)[-1] }} {{ [1, 2, 3][:-1] }} {{ (1, 2)[1:] }}"),
            "olh 4 [1, 2] (2,)");
  EXPECT_EQ(Render("{% set a, b = 1, 2 %}{{ dict(a=a, **{'b': b}) }}"), "{'a': 1, 'b': 2}");
}

TEST(ChatTemplateLanguage, Formats) {
  EXPECT_EQ(Render("{{ '%s-%05.1f|%-4d|%+d|%x|%%|%r' % ('a', 3.14159, 7, 8, 255, 'q') }}"), "a-003.1|7   |+8|ff|%|'q'");
  EXPECT_EQ(Render("{{ '%(a)s' % {'a': 1} }}{{ '%s %.2f' | format('a', 1.5) }}"), "1a 1.50");
  EXPECT_EQ(Render("{{ '{} {1}'.replace('1', '').format(1, 2) }}"), "1 2");
  EXPECT_EQ(Render("{{ '{0:>5}|{0:*^5}|{a[k]:,}|{1:08.3f}|{2!r}'.format('x', 3.14159, 'q', a={'k': 1234567}) }}"),
            "    x|**x**|1,234,567|0003.142|'q'");
}

TEST(ChatTemplateLanguage, Filters) {
  EXPECT_EQ(Render("{{ [3, 1, 2, 1] | unique | list }}{{ ['b', 'A'] | sort }}{{ [1, 2] | sum }}{{ [] | max }}"),
            "[3, 1, 2]['A', 'b']3");
  EXPECT_EQ(Render("{% for k, g in messages | groupby('role') %}{{ k }}{{ g | length }}{% endfor %}"),
            "assistant1user1");
  EXPECT_EQ(Render("{{ [1, 2, 3] | batch(2, 0) | list }}{{ [1, 2, 3] | slice(2) | list }}"),
            "[[1, 2], [3, 0]][[1, 2], [3]]");
  EXPECT_EQ(Render("{{ {'b': 1, 'A': 2} | dictsort }}{{ messages | map(attribute='x', default='-') | join }}"),
            "[('A', 2), ('b', 1)]--");
  EXPECT_EQ(Render("{{ 2.5 | round }}{{ 42.55 | round(1, 'floor') }}{{ '0x1A' | int(base=16) }}{{ '1_0' | float }}"),
            "2.042.52610.0");
  EXPECT_EQ(Render("{{ \"it's a dog\" | title }}{{ 'a' | center(4) }}|{{ 'hello world foo' | truncate(8) }}"),
            "It's A Dog a  |hello...");
  EXPECT_EQ(Render("{{ {'b': 'é', 'a': 1.0} | tojson(sort_keys=true, ensure_ascii=true, separators=(',', ':')) }}"),
            "{\"a\":1.0,\"b\":\"\\u00e9\"}");
  EXPECT_EQ(Render("{{ messages | selectattr('role', '==', 'user') | map(attribute='content') | first }}"), "Hi");
  EXPECT_EQ(Render("{{ 'yes' if messages | selectattr('role', 'eq', 'nobody') }}"), "yes");  // an iterator is true
  EXPECT_EQ(Render("{{ 1500 | filesizeformat }} {{ 'a b&' | urlencode }} {{ '<b>x</b>' | striptags }}"),
            "1.5 kB a%20b%26 x");
}

TEST(ChatTemplateLanguage, Methods) {
  EXPECT_EQ(Render("{{ 'a=b'.partition('=') }}{{ 'abc'.removeprefix('a') }}{{ '5'.zfill(3) }}{{ 'aXb'.swapcase() }}"),
            "('a', '=', 'b')bc005AxB");
  EXPECT_EQ(Render("{{ 'a b  c'.rsplit(none, 1) }}{{ 'x\\ny'.splitlines() }}{{ 'abab'.count('ab') }}{{ 'ß'.upper() }}"),
            "['a b', 'c']['x', 'y']2SS");
  EXPECT_EQ(Render("{{ {'a': 1}.items() }}{{ {'items': 1}['items'] }}{{ {'a': 1}.keys() | list }}"),
            "dict_items([('a', 1)])1['a']");
  EXPECT_EQ(Render("{{ 'abc'.find('c', 1) }}{{ 'abc'.endswith(('x', 'c')) }}{{ '12'.isdigit() }}{{ 'A'.isupper() }}"),
            "2TrueTrueTrue");
}

TEST(ChatTemplateLanguage, WhatIsNotKnownFailsOnlyWhereItIsReached) {
  EXPECT_EQ(Render("{% if false %}{{ 1 | nothing }}{% include 'x' %}{% endif %}a"), "a");
  EXPECT_EQ(Render("{{ 'a' if true else 1 | nothing }}"), "a");
  EXPECT_ERROR(Render("{% for x in [] %}{{ 1 | nothing }}{% endfor %}"), "filter \"nothing\" is not supported");
  EXPECT_ERROR(Render("a\n{% if true %}\n{{ 1 | nothing }}{% endif %}"), "test:3: filter \"nothing\"");
}

}  // namespace
}  // namespace ecld
