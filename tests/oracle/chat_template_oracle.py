"""Compares our chat template interpreter with the environment that transformers renders in, byte for byte.

Renders each template of the test data with conversations of all kinds; also small templates, one per feature, and the
choice among several templates of a directory. Where Jinja raises, ours must fail too.
"""
from chat_cases import CONVERSATIONS, compare, template_variables
from compare import DATA, main, skip
from jinja_features import FEATURES

# As chat templates use them; jinja_features.py goes through the language.
CHAT_FEATURES = [
    "{% for x in messages %}{{ loop.index }}/{{ loop.length }}{{ ', ' if not loop.last }}{% endfor %}\n",
    "a\n  {% if true %}\n    b\n  {% endif %}\nc {#- comment -#} d\n  {# comment #}\ne\n\n",
    "{%- set ns = namespace(n=0, s='') -%}\n{%- for i in range(5) if i % 2 == 0 -%}{% set ns.n = ns.n + i %}"
    "{% set ns.s = ns.s ~ i %}{%- else -%}none{%- endfor -%}\n{{ ns.n }} {{ ns.s }}",
    "{% macro m(a, b='x', c=none) %}[{{ a }}|{{ b }}|{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, c=2) }}{{ m('é', 'y', 3) }}",
    "{{ 'a,b,,c'.split(',') }} {{ 'a b  c'.split() }} {{ 'a,b,c'.split(',', 1) }} {{ ' x\n'.strip() }}|{{ 'xxaxx'.lstrip('x') }}",
    "{{ [1, 2.0, 'it\\'s', none, true, {'k': [1]}] }} {{ {'a': 1} }} {{ 1e3 if false else 0.1 }} {{ 1e3 }} {{ 2.5e-7 }} {{ 1e16 }} {{ 10 / 4 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }}",
    "{{ [3, 1, 2][::-1] }} {{ 'abcdé'[::-1] }} {{ 'héllo'[1:3] }} {{ [1, 2, 3][-2:] }} {{ [1, 2, 3][5:] }} {{ 'abc'[-1] }} {{ [1,2,3,4][3:0:-2] }}",
    "{{ missing }}|{{ missing is defined }}|{{ missing | default('d') }}|{{ '' | default('d', true) }}|{{ none | default('n') }}",
    "{{ messages | map(attribute='role') | join(', ') }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }}",
    "{{ [1, 2, 3, 4] | select('odd') | list }} {{ [0, 1, ''] | reject | list }} {{ ['a', 'b'] | map('upper') | join }} {{ [{'a': 1}, {}] | rejectattr('a') | list }}",
    "{{ {'b': 1, 'a': [1.5, 'é\\n']} | tojson }} {{ {'b': {'c': []}, 'a': [1, 2]} | tojson(indent=2) }} {{ 'x\\u00e9\\t\"' | tojson }}",
    "{% for k, v in {'x': 1, 'y': 2}.items() %}{{ k }}={{ v }};{% endfor %}{{ {'x': 1}.get('y', 5) }}{{ {'x': 1}.get('z') }}{{ 'x' in {'x': 1} }}",
    "{% set x %}block {{ 1 + 1 }}{% endset %}{{ x | upper }} {{ x is string }} {{ 3 is number }} {{ x is mapping }} {{ [] is iterable }} {{ none is none }}",
    "{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% set a, b = 1, 'z' %}{{ a ~ b }} {{ 'ab' * 3 }} {{ 'b' in 'abc' and 'z' not in 'abc' }} {{ not 1 == 2 }} {{ 1 if false }}|",
    "{{ 'hello wORLD' | title }} {{ 'hELLO' | capitalize }} {{ 'a-b' | replace('-', '+') }} {{ '42' | int + 1 }} {{ 'x' | int }}  {{ 'éß' | lower }} {{ strftime_now('%Y-%m-%d') }}",
    "{{ raise_exception('no') }}",
    "{{ messages.foo.bar }}",
    "{{ 1 + 'a' }}",
    "{{ ['x', 'y'] | first }} {{ ['x', 'y'] | last }} {{ 'line\nnext' | indent(2) }} {{ 5 is divisibleby 5 }} {{ 'a' is in ['a'] }} {{ 2 is not odd }}",
    "{%- for m in messages -%}\n {{- m['role'] -}} \n{%- endfor +%}\nend",
    "{{ 'a' 'b' }} {{ (1, 2) | list }} {{ 'x'.join(['1', '2']) }} {{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.find('c') }} {{ 'a.b.c'.rsplit('.', 1) }}",
    "{% for i in [1, 2] %}{% for j in [3] %}{{ loop.index }}{{ i }}{{ j }}{% endfor %}{{ loop.first }}{{ loop.previtem }}{% endfor %}{{ i }}",
    "{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}{% if true %}{% set x = 3 %}{% endif %}{{ x }}",
    "{% generation %}said{% endgeneration %}",
    "{{ 1 == 1.0 }} {{ true == 1 }} {{ 'a' < 'b' }} {{ 2 >= 2 }} {{ 1 != 2 }} {{ - 3 + 5 }} {{ 2 * -3 }} {{ 1e }}",
]


def body(folder):
    cases = [(f"feature {i} {source!r:.60}", source, {"messages": CONVERSATIONS[3]})
             for i, source in enumerate(CHAT_FEATURES + FEATURES)]
    if DATA:
        for path in sorted(DATA.glob("models/chat-templates/*.jinja")):
            source = path.read_bytes().decode()
            cases += [(f"{path.name} #{i}", source, variables) for i, variables in enumerate(template_variables())]
    else:
        skip("the published templates: ECLD_TEST_DATA is not set")
    for case in cases:
        compare(folder, *case)


if __name__ == "__main__":
    main(body, "render_chat")
