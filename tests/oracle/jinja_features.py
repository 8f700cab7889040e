"""Small templates, feature by feature of Jinja's documentation: tags, white space, expressions, values, filters, tests,
methods, and what each of them refuses. What they print is for Jinja to say."""

TAGS = r"""
{% for x in [1,2,3] %}{{ loop.index }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% endfor %}
{% for x in 'ab' %}{{ loop.previtem is defined }}{{ loop.nextitem }}{% else %}none{% endfor %}
{% for x in [] %}{% else %}{{ loop is defined }}{% endfor %}
{% for x in [1,2] %}{% for y in [] %}{% else %}{{ loop.index }}{% endfor %}{% endfor %}
{% for x in [[1,[2,[3]]]] recursive %}{{ loop.depth0 }}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}{% endif %}{% endfor %}
{% for x in [1] recursive %}{{ loop(3) }}{% endfor %}
{% for x in [1] %}{{ loop([2]) }}{% endfor %}
{% for x in [1,1,2,2,1] %}{{ loop.changed(x) }}{{ loop.cycle('a','b','c') }}{% endfor %}
{% for x in [1] %}{{ loop.cycle() }}{% endfor %}
{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}{% for a, (b, c) in [(1, (2, 3))] %}{{ a+b+c }}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{% endfor %}
{% for x in 5 %}{% endfor %}
{% for x in none %}{% endfor %}
{% for x in nope %}x{% endfor %}done
{% for loop in [1] %}{% endfor %}
{% for x in [1] %}{% set loop = 1 %}{% endfor %}
{% for x in 1, 2 if x > 1 %}{{ x }}{% endfor %}
{% for x in range(9) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in [1,2] %}{% with %}{% break %}{% endwith %}{% endfor %}ok
{% for x in [1,2] %}{% filter upper %}a{% if x == 1 %}{% continue %}{% endif %}b{% endfilter %}{% endfor %}
{% for x in [1,2] %}{% call f() %}{% break %}{% endcall %}{% endfor %}
{% break %}
{% macro f() %}{% break %}{% endmacro %}
{% if true: %}a{% endif %}{% if 0 %}{% elif none %}{% elif [] %}{% else %}c{% endif %}
{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}{% for i in [1] %}{% set x = 3 %}{{ x }}{% endfor %}{{ x }}
{% set a, b = 1, [2] %}{{ a }}{{ b }}{% set (c, d) = 'xy' %}{{ c }}{{ d }}{% set e = 1, %}{{ e }}
{% set ns = namespace(a=1) %}{% set ns.a, ns.b = 3, 4 %}{{ ns.a }}{{ ns.b }}{{ ns.c is defined }}{{ ns }}
{% set ns = namespace({'a': 1}, b=2) %}{% set ns.a %}text{% endset %}{{ ns.a }}{{ ns['b'] }}{{ ns is mapping }}
{% set ns = namespace(_a=1) %}
{% set x.y = 1 %}
{% set none = 1 %}
{% set x %}a{{ 1 }}{% endset %}{{ x }}{{ x is string }}{% set y | upper | replace('A', 'b') %}a{% endset %}{{ y }}
{% set f %}{% endset %}[{{ f }}]
{% with a=1, b=a %}{{ a }}[{{ b }}]{% endwith %}{{ a is defined }}{% with %}{% set q = 1 %}{% endwith %}{{ q is defined }}
{% with (a, b) = (1, 2) %}{{ a + b }}{% endwith %}
{% filter upper %}abc{{ 'd' }}{% endfilter %}{% filter replace('a', 'b') | upper %}aa{% endfilter %}
{% filter nope %}{% endfilter %}
{% macro f(a, b=2, c=none) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ f(1) }}{{ f(1, c=3) }}{{ f(b=1, a=0) }}[{{ f() }}]
{% macro f(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}{{ f(nope, 1) }}{{ f(*[1, 2]) }}{{ f(**{'a': 1}) }}
{% macro f(a) %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, 3, x=4) }}{{ f() }}
{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}
{% macro f(a) %}{% endmacro %}{{ f(b=2) }}
{% macro f(a) %}{% endmacro %}{{ f(1, a=2) }}
{% macro f(a=1, b) %}{% endmacro %}
{% macro f(a, a) %}{% endmacro %}
{% macro f(a, b) %}{% endmacro %}{{ f.name }}{{ f.arguments }}{{ f.catch_kwargs }}{{ f.caller }}
{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}
{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}g{% endmacro %}{{ f() }}
{{ f() }}{% macro f() %}{% endmacro %}
{% set y = 1 %}{% macro f() %}{{ y }}{% set y = 2 %}{{ y }}{% endmacro %}{{ f() }}{{ y }}
{% for i in [1,2] %}{% macro f() %}{{ i }}{{ loop.index }}{% endmacro %}{{ f() }}{% endfor %}
{% macro f() %}<{{ caller() }}>{% endmacro %}{% call f() %}x{% endcall %}{% for i in [7] %}{% call f() %}{{ i }}{% endcall %}{% endfor %}
{% macro f(x) %}{{ caller(x, y=2) }}{% endmacro %}{% call(a, y=1, z=3) f(9) %}{{ a }}{{ y }}{{ z }}{% endcall %}
{% macro f() %}{{ caller() }}{% endmacro %}{{ f() }}
{% macro f() %}no{% endmacro %}{% call f() %}x{% endcall %}
{% macro f(caller) %}{% endmacro %}
{% macro f() %}{{ caller is defined }}{% endmacro %}{{ f() }}{% call f() %}{% endcall %}
{% call 'a'.upper() %}{% endcall %}
{% generation %}{{ messages[0].role }}{% set q = 1 %}{% endgeneration %}{{ q is defined }}
{% for x in [1] %}{% generation %}{% break %}{% endgeneration %}{% endfor %}
{%- generation -%} x {%- endgeneration -%} y
{% raw %}{{ x }}{% if %}{% endraw %}{%- raw -%} a {%- endraw -%} b
{% raw +%}{% endraw %}
{% block a %}x{{ messages | length }}{% endblock a %}{{ self.a() }}{{ super is defined }}
{% for i in [1] %}{% block b %}{{ i is defined }}{% endblock %}{% block c scoped %}{{ i }}{% endblock %}{% endfor %}
{% block a %}{% endblock %}{% block a %}{% endblock %}
{% autoescape true %}{{ '<' }}{{ '<' | safe }}{{ messages[0].x ~ '<' | e }}{{ ['<', '<' | safe] | join('&') }}{% endautoescape %}{{ '<' }}
{% autoescape true %}{% macro f() %}{{ '<' }}{% endmacro %}{{ f() }}{% set x %}<{% endset %}{{ x }}{% endautoescape %}{{ x }}
{% print 1, 'a' %}{% print %}x
{% include 'x' %}
{% include 'x' ignore missing with context %}
{% import 'x' as y %}
{% from 'x' import y as z with context %}
{% extends 'x' %}
{% if false %}{% include 'x' %}{% endif %}ok
{% do x %}
{% nope %}
{% if true %}
{% endfor %}
{% for %}{% endfor %}
{% set %}
{{ }}
{% %}
""".strip().split("\n")

SPACE = [
    "a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "a  {%- if true -%}  b  {%- endif -%}  c", "  {%+ if true %}\nx{% endif %}",
    "{% if true +%}\nx\n{%- endif +%}\n\ny", "a {#- x -#} b\n  {# y #}\nc {#+ z +#}\nd", "{{ 'a' -}}  \n  {{- 'b' }}\n", "{{ 1 +}}",
    "x\u00a0{%- if true %}{% endif %}\u2003{{- 1 -}}\u00a0y", "\r\na\r{% if true %}\r\nb{% endif %}\n\n", "  {% raw %}\n a {% endraw %}\n b",
    "{{ {'a': {'b': 1}}['a']['b'] }}{{ {} }}", "{{ ']' }}{{ '}}' }}{% set x = '%}' %}{{ x }}", "{# {{ {% #}x", "{", "{{", "{%", "{#", "a { b",
    "{% set x = 1 %} \n {{ x }}", "\n\n{% if 1 %}\n\n{% endif %}\n\n", "  {{ 1 }}\n  {% set y = 2 %}\n  {{ y }}  ", "{{ 'a\nb' }}\n{{ '\\n' }}",
]

EXPRESSIONS = r"""
{{ 1 < 2 < 3 }}{{ 1 < 2 > 1 }}{{ 3 > 2 > 2 }}{{ 1 == 1 != 2 }}{{ 'a' in 'ab' in ['ab'] }}{{ 1 not in [2] }}
{{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 2 ** -1 }} {{ 2 ** 0.5 }} {{ 0 ** 0 }} {{ (-8) ** 2 }}
{{ 0 ** -1 }}
{{ 10.0 ** 400 }}
{{ 7 // 2 }}{{ -7 // 2 }}{{ 7 // -2 }}{{ -7 % 3 }}{{ 7 % -3 }}{{ 7.5 // 2 }}{{ -7.5 % 2 }}{{ 1e308 * 10 }}{{ 6 / 3 }}{{ 0.1 + 0.2 }}
{{ 1 / 0 }}
{{ 1.5 % 0 }}
{{ 5 // 0.0 }}
{{ true + 1 }}{{ -true }}{{ +5 }}{{ - 3 + 5 }}{{ not not 1 }}{{ 1 - -1 }}{{ true * 'ab' }}
{{ 'a' + 1 }}
{{ 'a' - 'b' }}
{{ -'a' }}
{{ none + 1 }}
{{ [1] + [2] }}{{ (1,) + (2,) }}{{ [1, 2] * 2 }}{{ 2 * 'ab' }}{{ 'ab' * -1 }}{{ (1,) * 2 }}
{{ [1] + (2,) }}
{{ 'a' * 1.5 }}
{{ {} + {} }}
{{ 1 ~ 'a' ~ none ~ [1] ~ nope ~ 2.0 }}{{ 'a' ~ 1 + 2 }}
{{ 1 if true }}{{ 1 if false }}{{ 'a' if 0 else 'b' if 0 else 'c' }}{{ (1 if false) is defined }}
{{ 0 or 'x' }}{{ 1 and 'y' }}{{ nope or 'z' }}{{ [] and 1 }}{{ none or false }}{{ not nope }}
{{ [1, 2][0] }}{{ [1, 2][-1] }}[{{ [1, 2][5] }}]{{ 'héllo'[1] }}{{ 'abc'[-1] }}[{{ 'abc'[9] }}]{{ (1, 2)[true] }}{{ {'a': 1}['a'] }}{{ {1: 2}[1] }}
{{ [1, 2, 3][1:] }}{{ [1, 2, 3][:-1] }}{{ [1, 2, 3][::-1] }}{{ [1,2,3,4][3:0:-2] }}{{ 'héllo'[::2] }}{{ 'abc'[5:] }}{{ 'abc'[-2:] }}{{ (1,2,3)[:2] }}{{ [1][:100000000000000000000] }}
{{ [1][::0] }}
{{ messages['a':] }}
{{ messages[0][1:] }}
{{ nope[1:] }}
{{ nope[0] }}
{{ nope.x }}
[{{ messages[0].nope }}{{ messages[0]['nope'] }}{{ none.x }}{{ (1).x }}{{ [1].x }}{{ 'a'.nope }}{{ [1]['x'] }}{{ {}[[]] }}]
{{ messages[0].nope.x }}
{{ messages[9].role }}
{{ nope() }}
{{ 'a'() }}
{{ messages.0.role }}{{ [[1, 2]].0.1 }}{{ {'a': [1]}.a.0 }}
{{ nope + 1 }}
{{ nope < 1 }}
{{ -nope }}
{{ nope == none }}{{ nope == nope2 }}{{ nope != 1 }}{{ nope in [nope] }}{{ 1 in nope }}{{ [nope] }}{{ {'a': nope} }}
{{ 1 < 'a' }}
{{ none < 1 }}
{{ [1] < (1,) }}
{{ [1, 2] < [1, 3] }}{{ (1, 2) == [1, 2] }}{{ 1 == 1.0 }}{{ true == 1 }}{{ 'a' < 'b' }}{{ {'a': 1} == {'a': 1.0} }}{{ range(3) == range(3) }}{{ [1] == range(1, 2) }}
{{ 1 in 'abc' }}
{{ 1 in 5 }}
{{ [] in {} }}
{{ 'a' in {'a': 1} }}{{ 1 in {1: 2} }}{{ 'b' in ['a'] }}{{ 'x' in '' }}{{ '' in 'a' }}{{ 2 in range(5) }}{{ 1 in {'a': 1}.values() }}{{ ('a', 1) in {'a': 1}.items() }}
{{ (1,) }}{{ () }}{{ (1, 2,) }}{{ [1, 2,] }}{{ {'a': 1,} }}{{ {1: 'a', none: 2, true: 3, 2.5: 4, (1, 2): 5} }}{{ 1, 2 }}
{{ {[]: 1} }}
{{ {'a': 1, 'a': 2} }}{{ {1: 'a', 1.0: 'b', true: 'c'} }}
{{ dict(a=1, **{'b': 2}) }}{{ dict([('a', 1)], b=2) }}{{ dict({'a': 1}) }}{{ dict.fromkeys(['a', 'b'], 1) }}
{{ dict(1) }}
{{ dict(nope) }}
{{ namespace(nope) }}
{{ range(3) }}{{ range(1, 7, 2) | list }}{{ range(5, 0, -2) | list }}{{ range(0) | length }}{{ range(5)[1] }}{{ range(2, 4) }}{{ range(1, 9, 3) }}
{{ range(0, 5, 0) }}
{{ range(1.5) }}
{{ range(200000) }}
{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set _ = c.next() %}{% set _ = c.reset() %}{{ c.next() }}
{{ cycler() }}
{% set j = joiner() %}{{ j() }}a{{ j() }}b{% set k = joiner('|') %}{{ k() }}{{ k() }}
{{ raise_exception('no: ' ~ 1) }}
{{ 12345678901234567890123 }} {{ 2 ** 64 }} {{ -(2 ** 70) // 7 }} {{ -(2 ** 70) % 7 }} {{ 2 ** 64 == 2.0 ** 64 }} {{ 2 ** 63 - 1 }} {{ 9223372036854775807 + 1 }} {{ 2 ** 64 / 2 }} {{ (2 ** 64) | float }} {{ 2 ** 64 > 1.5 }}
{{ 10 ** 5000 }}
{{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1_000 }} {{ 1e3 }} {{ 1.5e-5 }} {{ 1E5 }} {{ 00 }} {{ 1_0.5 }} {{ 1e16 }} {{ 1e15 }} {{ 123456789.123456789 }} {{ 1e-4 }} {{ 0.00001 }} {{ 100.0 }} {{ -0.0 }} {{ 1e999 }}
{{ 01 }}
{{ 1a }}
{{ 'a\tb\x41\u00e9\'\\\101\q' }}{{ "it's" }}{{ 'a' "b" }}{{ ['it\'s', "q\"", 'b\\', 'é\n', '\x00\x7f\u200b'] }}
{{ '\x4' }}
{{ 'a }}
{{ éa is defined }}{% set é = 1 %}{{ é }}
{{ f(a=1, 2) }}
{{ dict(a=1, a=2) }}
{{ (1 }}
{{ [1) }}
{{ a.b.c is defined }}
{{ 1 | }}
{{ 1 is }}
{{ a b }}
{{ 'x' if }}
{{ not }}
{{ True }}{{ False }}{{ None }}{{ true is True }}
{{ loop is defined }}{{ range is defined }}{{ lipsum is defined }}{{ self is defined }}{{ caller is defined }}
{{ messages.__class__ }}{{ ''.__class__ is defined }}{{ [].append is defined }}{{ {}.update }}
{{ ''.__class__.__mro__ }}
{{ [].append(1) }}
{{ {}.update({}) }}
{{ {'items': 1}.items() }}{{ {'items': 1}['items'] }}{{ {'get': 5}.get('get') }}{{ {'a': 1}.items }}
{{ (5).real }}{{ (5).bit_length() }}{{ (2.0).is_integer() }}
""".strip().split("\n")
EXPRESSIONS.remove("{{ {'items': 1}.items() }}{{ {'items': 1}['items'] }}{{ {'get': 5}.get('get') }}{{ {'a': 1}.items }}")

FILTERS = r"""
{{ -3 | abs }}{{ (-2.5) | abs }}{{ true | abs }}
{{ 'a' | abs }}
[{{ messages[0] | attr('role') }}{{ 'a' | attr('nope') }}]
{{ [1,2,3] | batch(2) | list }}{{ [1,2,3] | batch(2, 'x') | list }}{{ [1,2,3] | slice(2) | list }}{{ [1,2,3] | slice(2, 'x') | list }}{{ [] | batch(3) | list }}
{{ 'hELLO wORLD' | capitalize }}{{ 'a' | center(6) }}|{{ 'ab' | center(5) }}|{{ 5 | upper }}{{ 'ß' | upper }}{{ 'ΑΣ' | lower }}{{ 'ŉ' | upper }}
{{ nope | default }}{{ nope | d('x') }}{{ '' | default('y', true) }}{{ none | default('z') }}{{ 0 | default(1, boolean=true) }}{{ messages[0].x | default('q') }}
{{ {'b': 1, 'A': 3, 'c': 2} | dictsort }}{{ {'b': 1, 'A': 3} | dictsort(true) }}{{ {'b': 1, 'a': 3} | dictsort(by='value', reverse=true) }}
{{ [1] | dictsort }}
{{ {'a': 1} | dictsort(by='x') }}
{{ '<a href="x">\'&' | e }}{{ '<' | e | e }}{{ '<' | e | forceescape }}{{ '<' | safe | e }}{{ ('<' | e) + '<' }}{{ ['<' | e] }}{{ '<' | e | upper }}{{ ('<' | e) ~ '<' }}{{ ('%s' | safe) % '<' }}{{ ('<' | e) is escaped }}
{{ 1 | filesizeformat }}{{ 999 | filesizeformat }}{{ 1000 | filesizeformat }}{{ 1024 | filesizeformat(true) }}{{ 123456789 | filesizeformat }}{{ '1e30' | filesizeformat }}
{{ [1,2] | first }}{{ [1,2] | last }}[{{ [] | first }}{{ [] | last }}]{{ 'abc' | first }}{{ {'a': 1} | first }}{{ range(3) | last }}
{{ 5 | first }}
{{ '1.5' | float }}{{ 'x' | float }}{{ 'x' | float(2.5) }}{{ 'inf' | float }}{{ ' 1e3 ' | float }}{{ none | float }}{{ 3 | float }}{{ '1_0' | float }}{{ 'nan' | float }}
{{ nope | float }}
{{ '%s-%d-%5.2f|%-5s|%05d|%x|%X|%o|%e|%g|%c|%r|%%|%+d|% d|%#x' | format('a', 3, 1.234, 'b', 42, 255, 255, 8, 12345.678, 0.00001, 'z', 'q', 5, 5, 255) }}{{ '%(a)s' | format(a=1) }}
{{ '%s' | format }}
{{ '%d' | format('x') }}
{{ '%s' | format(1, 2) }}
{{ '%s' % 1 }}{{ '%s %s' % (1, 'b') }}{{ '%s' % [1] }}{{ '%(x)s%(y)d' % {'x': 'a', 'y': 2} }}{{ '%.3s|%5s|%*d' % ('abcdef', 'é', 4, 7) }}{{ 'plain' % [] }}{{ '%.2f%%' % 99.5 }}{{ '%d' % 3.99 }}{{ '%i' % true }}{{ '%s' % none }}{{ '%5.1f|%-8.3e|' % (2.25, 1234.5) }}{{ '%.3d' % 5 }}{{ '%s' % {'a': 1} }}
{{ '%s %s' % 1 }}
{{ '%z' % 1 }}
{{ 'a' % 1 }}
{% for g in messages | groupby('role') %}{{ g.grouper }}{{ g.list | length }}{{ g[0] }}{% endfor %}{{ [{'a': 'x'}, {'a': 'X'}, {}] | groupby('a', default='y') }}{{ [{'a': {'b': 2}}, {'a': {'b': 1}}] | groupby('a.b') | length }}
{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent(1, blank=true) }}|{{ 'a\nb' | indent('>>') }}|{{ 'a\n' | indent(2) }}
{{ 5 | indent }}
{{ '42' | int }}{{ '42.9' | int }}{{ 'x' | int }}{{ 'x' | int(7) }}{{ '0x1A' | int(base=16) }}{{ '101' | int(0, 2) }}{{ 3.99 | int }}{{ -3.99 | int }}{{ none | int }}{{ true | int }}{{ ' 12 ' | int }}{{ '1_000' | int }}{{ '' | int }}{{ '1e3' | int }}{{ [] | int(5) }}
{{ nope | int }}
{{ {'a': 1} | items | list }}{{ nope | items | list }}
{{ [1] | items | list }}
{{ [1, 'a', none] | join }}{{ [1, 2] | join(', ') }}{{ messages | join('|', attribute='role') }}{{ 'abc' | join('-') }}{{ {'a': 1, 'b': 2} | join }}{{ [nope, 1] | join(',') }}{{ [[1], {'a': 2}] | join(',') }}
{{ 5 | join }}
{{ [1,2] | length }}{{ 'é😀' | length }}{{ {'a': 1} | count }}{{ nope | length }}{{ (1,) | length }}{{ {'a': 1}.items() | length }}
{{ 5 | length }}
{{ none | length }}
{{ [1] | map('string') | length }}
{{ 'abc' | list }}{{ {'a': 1} | list }}{{ nope | list }}{{ (1, 2) | list }}
{{ messages | map(attribute='role') | list }}{{ ['a'] | map('upper') | list }}{{ [{'a': {'b': 1}}] | map(attribute='a.b') | list }}{{ [[1, 2]] | map(attribute=1) | list }}{{ [[1, 2]] | map(attribute='0') | list }}{{ [{}] | map(attribute='x', default='d') | list }}{{ ['a-b'] | map('replace', '-', '+') | list }}{{ [3] | map('string') | map('int') | sum }}{{ none | map('x') | list }}{{ [[1, 2], []] | map('length') | list }}{{ ['a'] | map('default', 'x') | list }}
{{ [1] | map | list }}
{{ [1] | map('nope') | list }}
{{ [1] | map(attribute='a', foo=1) | list }}
{{ [3,1,2] | max }}{{ [3,1,2] | min }}{{ ['b','A'] | min }}{{ ['b','A'] | min(true) }}{{ messages | max(attribute='role') }}[{{ [] | max }}]
{{ [1, 'a'] | max }}
{{ {'b': [1, 'x'], 'a': none} | pprint }}{{ 'a' | pprint }}
{{ [0, 1, '', 'a'] | select | list }}{{ [0, 1] | reject | list }}{{ [1,2,3] | select('odd') | list }}{{ [1,2,3] | reject('gt', 1) | list }}{{ [1,2,3] | select('>', 1) | list }}{{ [1, 4] | select('divisibleby', 2) | list }}{{ ['a', 1] | select('string') | first }}{{ [3] | select('in', [3, 4]) | list }}
{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{{ messages | rejectattr('role', '==', 'user') | map(attribute='role') | list }}{{ [{'a': 1}, {'a': 0}, {}] | selectattr('a') | list }}{{ [{'a': {'b': 1}}] | selectattr('a.b', 'eq', 1) | list }}{{ [{'a': 1}, {}] | selectattr('a', 'defined') | list }}{{ messages | selectattr('role', 'in', ['user']) | list | count }}
{{ [1] | select('nope') | list }}
{{ [1] | selectattr | list }}
{{ 'a' if [] | select else 'b' }}{{ 'a' if [] | map('upper') | list else 'b' }}{% set g = [1,2] | map('string') %}{{ g | list }}{{ g | list }}{% set h = [1,2,3] | select %}{{ h | first }}{{ h | list }}[{{ ([1] | select)[0] }}]{{ [1] | select is sequence }}{{ [1] | select is iterable }}{{ 1 in [1] | select }}
{{ [1, 2] | select | last }}
{{ ([1] | select) + [2] }}
{{ ([1] | select)[1:] }}
{{ [1] | select | tojson }}
{{ 'aaa' | replace('a', 'b') }}{{ 'aaa' | replace('a', 'b', 2) }}{{ 'ab' | replace('', '-') }}{{ 5 | replace(5, 6) }}{{ 'a' | replace('b', nope) }}
{{ 'aaa' | replace('a') }}
{{ [1,2,3] | reverse | list }}{{ 'abc' | reverse }}{{ {'a': 1, 'b': 2} | reverse | list }}{{ [1] | select | reverse }}{{ (1, 2) | reverse | first }}
{{ [1,2] | reverse | length }}
{{ 5 | reverse }}
{{ 2.5 | round }}{{ 3.5 | round }}{{ 2.567 | round(2) }}{{ 2.1 | round(method='ceil') }}{{ -2.1 | round(0, 'floor') }}{{ 42 | round }}{{ 1234 | round(-2) }}{{ 2.675 | round(2) }}{{ 1e20 | round }}{{ 0.5 | round | int }}
{{ 2 | round(1, 'x') }}
{{ 'a' | round }}
{{ [3,1,2] | sort }}{{ ['b','A','c'] | sort }}{{ ['b','A'] | sort(case_sensitive=true) }}{{ [1,2] | sort(reverse=true) }}{{ messages | sort(attribute='role') | map(attribute='role') | list }}{{ 'cab' | sort }}{{ [{'a': 1, 'b': 2}, {'a': 1, 'b': 1}] | sort(attribute='a,b') }}{{ {'b': 1, 'a': 2} | sort }}{{ [(2, 'a'), (1, 'b')] | sort }}
{{ [1, 'a'] | sort }}
{{ [none, 1] | sort }}
{{ 5 | string + 'a' }}{{ [1] | string }}{{ none | string }}{{ '<b>a</b>  <i>b</i>&amp;' | striptags }}{{ '<!-- x -->a' | striptags }}
{{ [1,2.5] | sum }}{{ [{'a': 1}] | sum(attribute='a') }}{{ [1] | sum(start=5) }}{{ [[1], [2]] | sum(start=[]) }}{{ [] | sum }}
{{ ['a'] | sum }}
{{ 'hello wORLD-foo (bar' | title }}{{ "it's" | title }}{{ 'a_b' | title }}{{ 'été' | title }}{{ ' a ' | trim }}|{{ 'xxaxx' | trim('x') }}{{ ' \n a' | trim }}
{{ 'a' | trim(1) }}
{{ 'hello world foo' | truncate(8) }}{{ 'hello world foo' | truncate(8, true) }}{{ 'hello' | truncate(3, true, '', 0) }}{{ 'foo bar baz qux' | truncate(11, leeway=0) }}{{ 'foo bar baz qux' | truncate(9, end='…') }}
{{ 'abc' | truncate(1) }}
{{ [1,2,1,'a','A'] | unique | list }}{{ ['a','A'] | unique(true) | list }}{{ messages | unique(attribute='role') | list | length }}
{{ [[1]] | unique | list }}
{{ 'a b/c?&é' | urlencode }}{{ {'a': 'b c', 'd': 1} | urlencode }}{{ [('a/b', 1)] | urlencode }}{{ 5 | urlencode }}
{{ 'a b, c-d é_f' | wordcount }}{{ '' | wordcount }}{{ {'a': 'x"<', 'b': none, 'c': 1} | xmlattr }}{{ {'a': 1} | xmlattr(false) }}
{{ {'a b': 1} | xmlattr }}
{{ messages | tojson }}{{ {'a': [1, 2.0, none, true, 'é<\'"\\\n\u2028']} | tojson }}{{ [] | tojson(indent=2) }}{{ {'a': {'b': [1, []]}} | tojson(indent=2) }}{{ [1] | tojson(indent=0) }}{{ [1] | tojson(indent='--') }}
{{ {'b': 1, 'a': 'é😀\x7f'} | tojson(sort_keys=true, ensure_ascii=true) }}{{ {'a': [1, 2]} | tojson(separators=(',', ':')) }}{{ [1, 2] | tojson(indent=1, separators=('; ', '=')) }}{{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }}{{ (1, 2) | tojson }}{{ 1e20 | tojson }}{{ 'nan' | float | tojson }}{{ 2 ** 70 | tojson }}{{ '<' | e | tojson }}
{{ nope | tojson }}
{{ range(3) | tojson }}
{{ {(1, 2): 3} | tojson }}
{{ namespace | tojson }}
{{ {'a': 1, 2: 3} | tojson(sort_keys=true) }}
{{ 1 | nope }}
{% if false %}{{ 1 | nope }}{{ 1 is nope }}{% endif %}{{ 1 if true else 1 | nope }}ok
{% if false %}{% for x in [] %}{{ 1 | nope }}{% endfor %}{% endif %}
{% for x in [] %}{{ 1 is nope }}{% endfor %}
{{ 'a' | upper(1) }}
{{ 'a' | join(x=1) }}
""".strip().split("\n")

TESTS = r"""
{{ true is boolean }}{{ 1 is boolean }}{{ 1 is integer }}{{ true is integer }}{{ 1.0 is float }}{{ 1 is number }}{{ true is number }}{{ '1' is number }}{{ 2 ** 70 is integer }}
{{ 'a' is string }}{{ 1 is string }}{{ {} is mapping }}{{ [] is mapping }}{{ [] is sequence }}{{ 'a' is sequence }}{{ {} is sequence }}{{ 5 is sequence }}{{ (1,) is sequence }}{{ range(2) is sequence }}{{ {}.items() is sequence }}{{ nope is sequence }}{{ namespace() is iterable }}
{{ [] is iterable }}{{ 'a' is iterable }}{{ 5 is iterable }}{{ none is iterable }}{{ nope is iterable }}{{ {}.keys() is iterable }}{{ range is callable }}{{ 'a' is callable }}{{ 'a'.upper is callable }}
{{ none is none }}{{ nope is none }}{{ nope is defined }}{{ nope is undefined }}{{ none is defined }}{{ messages[0].x is defined }}{{ true is true }}{{ 1 is true }}{{ false is false }}{{ 0 is false }}
{{ 3 is odd }}{{ 4 is even }}{{ -3 is odd }}{{ 6 is divisibleby(3) }}{{ 6 is divisibleby 4 }}{{ 5 is not odd }}
{{ 'a' is odd }}
{{ 1 is divisibleby 0 }}
{{ 1 is eq 1 }}{{ 1 is equalto(2) }}{{ 1 is ne 2 }}{{ 1 is lt 2 }}{{ 1 is lessthan 2 }}{{ 2 is ge 2 }}{{ 2 is gt 1 }}{{ 2 is greaterthan 3 }}{{ 2 is le 2 }}{{ 'a' is in 'abc' }}{{ 1 is in [1] }}{{ 1 is not in [1] }}{{ none is sameas none }}{{ 1 is sameas true }}
{{ 'abc' is lower }}{{ 'ABC' is upper }}{{ 'aB' is lower }}{{ '12' is upper }}{{ 'upper' is filter }}{{ 'nope' is filter }}{{ 'odd' is test }}{{ 'a' is escaped }}
{{ 1 is odd and 2 is even }}{{ 1 is odd or nope }}{{ 'a' if x is defined else 'b' }}{{ not x is defined }}{{ x is defined == false }}{{ [1 is odd, 2] }}{{ (1 is odd) | string }}{{ 1 is odd | string }}
{{ 1 is odd is true }}
{{ 1 is nope }}
{{ 1 is eq }}
{{ 1 is lt 'a' }}
{{ 1 is defined(2) }}
{{ 2 + 3 is odd }}{{ 'a' ~ 'b' is string }}
""".strip().split("\n")

METHODS = r"""
{{ ' a '.strip() }}|{{ 'xax'.lstrip('x') }}{{ 'xax'.rstrip('x') }}{{ 'abcab'.strip('ba') }}{{ 'a'.strip(none) }}{{ '\u00a0a\u2003'.strip() }}|
{{ 'a'.strip(1) }}
{{ 'a,b,,c'.split(',') }}{{ ' a  b '.split() }}{{ 'a b c'.split(' ', 1) }}{{ 'a b  c'.split(none, 1) }}{{ 'a,b,c'.rsplit(',', 1) }}{{ ' a b  c '.rsplit(none, 1) }}{{ 'a,b'.split(sep=',', maxsplit=0) }}{{ ''.split() }}{{ ''.split(',') }}{{ 'abc'.split('abc') }}{{ ' a b '.split(none, 0) }}{{ ' a b '.rsplit(none, 0) }}
{{ 'a'.split('') }}
{{ 'a'.split(1) }}
{{ 'a\nb\r\nc\rd\x0be\u2028f'.splitlines() }}{{ 'a\n'.splitlines(true) }}{{ ''.splitlines() }}{{ 'a\n\nb'.splitlines() }}
{{ 'a=b=c'.partition('=') }}{{ 'a=b=c'.rpartition('=') }}{{ 'abc'.partition('x') }}{{ 'abc'.rpartition('x') }}
{{ 'a'.partition('') }}
{{ 'abc'.startswith('a') }}{{ 'abc'.startswith(('x', 'a')) }}{{ 'abc'.endswith('c') }}{{ 'abc'.startswith('b', 1) }}{{ 'abc'.endswith('b', 0, 2) }}{{ 'a'.startswith(()) }}{{ ''.startswith('') }}
{{ 'abc'.startswith(['a']) }}
{{ 'abc'.startswith(1) }}
{{ 'héllo'.find('l') }}{{ 'abc'.find('x') }}{{ 'abca'.rfind('a') }}{{ 'abc'.find('a', 1) }}{{ 'abc'.find('', 3) }}{{ 'abc'.find('', 4) }}{{ 'abc'.index('c') }}{{ 'abab'.count('ab') }}{{ 'aaa'.count('aa') }}{{ 'abc'.count('') }}{{ 'abc'.find('c', -1) }}{{ 'abca'.rindex('a', 0, 3) }}
{{ 'abc'.index('x') }}
{{ 'abc'.removeprefix('a') }}{{ 'abc'.removesuffix('c') }}{{ 'abc'.removeprefix('x') }}{{ 'aaa'.replace('a', 'b', 1) }}{{ 'abc'.replace('', '-') }}{{ '-'.join(['a', 'b']) }}{{ ''.join('abc') }}
{{ ','.join([1]) }}
{{ 'a'.replace(1, 2) }}
{{ 'aBc'.upper() }}{{ 'aBc'.lower() }}{{ "it's a dog".title() }}{{ 'hELLO wORLD'.capitalize() }}{{ 'aBc'.swapcase() }}{{ 'ß'.casefold() }}{{ 'ß'.upper() }}{{ 'ﬁ'.title() }}{{ 'İ'.lower() }}
{{ 'a'.ljust(3) }}|{{ 'a'.rjust(3, '-') }}{{ 'a'.center(4) }}|{{ 'ab'.center(5, '*') }}{{ 'abc'.center(6) }}|{{ '42'.zfill(5) }}{{ '-42'.zfill(5) }}{{ '+1'.zfill(4) }}{{ 'a\tb'.expandtabs(4) }}{{ 'é'.ljust(2, 'ü') }}
{{ 'a'.ljust(3, 'xy') }}
{{ 'a1'.isalnum() }}{{ 'a'.isalpha() }}{{ '1'.isdigit() }}{{ '²'.isdigit() }}{{ '²'.isdecimal() }}{{ '½'.isnumeric() }}{{ ' '.isspace() }}{{ 'A b'.istitle() }}{{ 'A B'.istitle() }}{{ 'a'.islower() }}{{ 'A1'.isupper() }}{{ ''.isalpha() }}{{ 'é'.isascii() }}{{ ''.isascii() }}{{ 'a_1'.isidentifier() }}{{ '1a'.isidentifier() }}{{ '\n'.isprintable() }}{{ '中'.isalpha() }}
{{ '{} {}'.format(1, 'a') }}{{ '{0}{1}{0}'.format('a', 'b') }}{{ '{a}'.format(a=1) }}{{ '{:>5}|{:<5}|{:^5}|{:*^5}'.format('a', 'b', 'c', 'd') }}{{ '{:.2f}{:,}{:05d}{:x}{:#x}{:b}{:e}{:%}{:+}'.format(1.234, 1234567, 42, 255, 255, 5, 12345.0, 0.25, 3) }}{{ '{{}}{!r}{!s}'.format('a', 'b') }}{{ '{0[a]}{0[b][0]}'.format({'a': 1, 'b': [2]}) }}{{ '{:{}}|'.format('a', 4) }}{{ '{a.b}'.format(a={'b': 3}) }}{{ '{}'.format(none) }}{{ '{:.3}'.format('abcdef') }}{{ '{:g}{:.3g}{:10.3}|'.format(0.0001, 1234.5, 3.14159) }}{{ '{:_}{:,.2f}{:08,}'.format(1234567, 1234567.891, 1234) }}{{ '{:n}{:c}{:o}'.format(5, 65, 8) }}{{ '{}{}'.format(1.0, true) }}{{ '{:5}|{:<5}|'.format(1, 2) }}{{ '{:5}|'.format(true) }}
{{ '{}'.format() }}
{{ '{x}'.format() }}
{{ '{:d}'.format('a') }}
{{ '{'.format() }}
{{ '}'.format() }}
{{ '{} {0}'.format(1) }}
{{ '{:d}'.format(1.5) }}
{{ '{0.__class__}'.format(1) }}
{{ '{a}{b}'.format_map({'a': 1, 'b': 2}) }}{{ 'abc'.translate({97: 'x', 98: none}) }}
{{ {'a': 1}.get('a') }}{{ {'a': 1}.get('b') }}{{ {'a': 1}.get('b', 2) }}{{ {'a': 1}.keys() }}{{ {'a': 1}.values() }}{{ {'a': 1}.items() }}{{ {'a': 1}.copy() }}{{ {'a': 1}.keys() | list }}{{ {1: 2}.get(1) }}
{{ {}.get() }}
{{ {}.get([]) }}
{{ {'a': 1}.items()[0] }}x
{{ {'a': 1}.items()[0:1] }}
{{ [1,2,1].index(2) }}{{ [1,2,1].count(1) }}{{ [1].copy() }}{{ (1, 2).index(2) }}{{ [1,2,1].index(1, 1) }}{{ range(5).index(3) }}
{{ [1].index(5) }}
{{ [1].pop() }}
{{ [1].sort() }}
{{ (1,).append(2) }}
{{ 'a'.upper(1) }}
{{ 'a'.split(x=1) }}
{{ 'a'.startswith() }}
""".strip().split("\n")

# Every one of the escapes above stands for itself in the template, which reads it.
FEATURES = TAGS + SPACE + EXPRESSIONS + FILTERS + TESTS + METHODS
