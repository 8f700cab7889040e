"""Compares our chat template interpreter with Jinja, set up as transformers does, byte for byte.

Renders each template of the test data with conversations of all kinds; also small templates, one per feature.
Where Jinja raises, ours must fail too.
"""
import datetime
import json
import subprocess

from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from compare import DATA, check, main, skip, tool

TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "Weather \"now\" in <a> city & more",
                                      "parameters": {"type": "object", "properties": {
                                          "city": {"type": "string", "description": "caf\u00e9 \u4e2d\u6587"},
                                          "days": {"type": "integer", "default": 3, "scale": 1.5, "ok": True,
                                                   "none": None, "list": [], "map": {}}},
                                          "required": ["city"]}}},
    {"type": "function", "function": {"name": "stop", "description": "stops", "parameters": {}}},
]
CALL = {"id": "abcdef123", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Paris"}}}

SYSTEM = {"role": "system", "content": "  You are brief.\n"}
USER = {"role": "user", "content": "Hello  there!\n\u4f60\u597d 'quoted' \"double\" {{ braces }} \U0001f999 "}
ASSISTANT = {"role": "assistant", "content": " Hi.\n"}
THOUGHT = {"role": "assistant", "content": "<think>\nhm\n</think>\n\nFine.\n"}
CALLING = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT = {"role": "tool", "name": "get_weather", "tool_call_id": "abcdef123", "content": "22 degrees"}

CONVERSATIONS = [
    [USER],
    [SYSTEM, USER],
    [USER, ASSISTANT, USER],
    [SYSTEM, USER, ASSISTANT, USER, ASSISTANT],
    [SYSTEM, USER, THOUGHT, USER, THOUGHT],
    [SYSTEM, USER, CALLING, RESULT, ASSISTANT, USER],
    [USER, CALLING, RESULT],
    [USER, CALLING, RESULT, RESULT, THOUGHT],
    [USER, USER],
    [SYSTEM],
    [],
]

FEATURES = [
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


def jinja_environment():
    def raise_exception(message):
        raise ValueError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    return environment


def expected_text(source, variables):
    source = source.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    try:
        return jinja_environment().from_string(source).render(**variables)
    except Exception as error:  # whatever Jinja raises, ours must fail too
        return error


def compare(folder, name, source, variables):
    (folder / "template").write_bytes(source.encode())
    (folder / "input.json").write_text(json.dumps(variables), encoding="utf-8")
    result = subprocess.run([tool("render_chat"), folder / "template", folder / "input.json"], capture_output=True)
    expected, found = expected_text(source, variables), result.stdout.decode()
    if isinstance(expected, Exception):
        return check(name, result.returncode == 1, f"Jinja raises {expected!r}, ours prints {found!r}")
    at = next((i for i, (a, b) in enumerate(zip(expected, found)) if a != b), min(len(expected), len(found)))
    check(name, result.returncode == 0 and found == expected,
          f"{len(expected)} characters" if found == expected else
          f"at {at} expected ...{expected[max(at - 20, 0):at + 60]!r}, found ...{found[max(at - 20, 0):at + 60]!r} "
          f"{result.stderr.decode()!r}")


def template_variables():
    for messages in CONVERSATIONS:
        for generate in (False, True):
            for more in ({}, {"tools": TOOLS}, {"enable_thinking": False, "date_string": "1 Jan 2025"}):
                yield {"messages": messages, "add_generation_prompt": generate, "bos_token": "<s>",
                       "eos_token": "</s>", **more}


def body(folder):
    cases = [(f"feature {i}", source, {"messages": CONVERSATIONS[3]}) for i, source in enumerate(FEATURES)]
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
