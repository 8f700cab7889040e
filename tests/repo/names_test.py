#!/usr/bin/env python3
"""No two headers define a type of the same name in the same namespace. The linker would take one of the two for both,
without a word, in the first program that holds both rooms.
"""
import collections
import re
import sys

from tracked import ROOT, tracked

NAMESPACE = re.compile(r"^namespace ([\w:]+) \{")
TYPE = re.compile(r"^(?:class|struct|enum class|union) (?:alignas\(\w+\) )?(\w+)\b[^;]*$")


def types(lines):
    """(namespace, name) of every type defined at the top level of a header."""
    namespace = ""
    for line in lines:
        if match := NAMESPACE.match(line):
            namespace = match[1]
        elif match := TYPE.match(line):
            yield namespace, match[1]


def main():
    planted = list(types(["namespace ecld {", "struct Block {", "class Pass;", "union Bits;", "struct alignas(8) Pair {"]))
    assert planted == [("ecld", "Block"), ("ecld", "Pair")], planted

    places = collections.defaultdict(list)
    for name in tracked(".h"):
        for found in types((ROOT / name).read_text().splitlines()):
            places[found].append(name)
    twice = [f"{'::'.join(what)} is defined in {' and '.join(names)}" for what, names in places.items() if len(names) > 1]
    print("\n".join(twice) if twice else f"{len(places)} types, every name once")
    return 1 if twice or not places else 0


sys.exit(main())
