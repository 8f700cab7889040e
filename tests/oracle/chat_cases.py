"""Conversations of all kinds, and one template rendered by us and by the environment of transformers."""
import json
import subprocess

from compare import check, tool

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
REASONED = {"role": "assistant", "content": "Fine.", "reasoning_content": "long thoughts"}
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
    [SYSTEM, USER, REASONED, USER, REASONED],
    [SYSTEM, USER, {**CALLING, "reasoning_content": "which tool?"}, RESULT],
    [{"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}],
    [USER, USER],
    [SYSTEM],
    [],
]


def template_variables():
    for messages in CONVERSATIONS:
        for generate in (False, True):
            for more in ({}, {"tools": TOOLS}, {"enable_thinking": False, "date_string": "1 Jan 2025"},
                         {"tools": None, "documents": None}):
                yield {"messages": messages, "add_generation_prompt": generate, "bos_token": "<s>",
                       "eos_token": "</s>", **more}


def expected_text(source, variables):
    from transformers.utils.chat_template_utils import _compile_jinja_template

    try:
        return _compile_jinja_template(source).render(**variables)
    except Exception as error:  # whatever Jinja raises, ours must fail too
        return error


def compare(folder, name, source, variables):
    """True when both print the same, or both fail."""
    (folder / "template").write_bytes(source.encode())
    (folder / "input.json").write_text(json.dumps(variables), encoding="utf-8")
    result = subprocess.run([tool("render_chat"), folder / "template", folder / "input.json"], capture_output=True)
    expected, found = expected_text(source, variables), result.stdout.decode()
    if isinstance(expected, Exception):
        return check(name, result.returncode == 1, f"{type(expected).__name__} there, here {result.stderr.decode()!r}"
                     if result.returncode == 1 else f"Jinja raises {expected!r}, ours prints {found!r}")
    at = next((i for i, (a, b) in enumerate(zip(expected, found)) if a != b), min(len(expected), len(found)))
    return check(name, result.returncode == 0 and found == expected,
                 f"{len(expected)} characters" if found == expected else
                 f"at {at} expected ...{expected[max(at - 20, 0):at + 60]!r}, found ...{found[max(at - 20, 0):at + 60]!r} "
                 f"{result.stderr.decode()!r}")
