#!/usr/bin/env python3
"""The drawing of the rooms and their arrows in CONTRIBUTING.md, made from the table of includes.py.

    tests/repo/drawing.py --write    puts it into CONTRIBUTING.md
"""
import pathlib
import sys

from includes import ARROWS, DEVICE_HALF

FILE = pathlib.Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"
BEGIN, END = "```mermaid\n", "```\n"


def room(name):
    """The room of an arrow's end: kernels of kernels/packing."""
    return next(room for room in ARROWS if name == room or name.startswith(room + "/"))


def reachable(start):
    """The rooms below one, through others."""
    found = {room(end) for end in ARROWS[start].split()}
    return found.union(*(reachable(end) for end in found))


def direct(start):
    """The arrows that no chain of others says already."""
    ends = {room(end): end for end in ARROWS[start].split()}
    through = set().union(*(reachable(end) for end in ends))
    return [(end, label) for end, label in ends.items() if end not in through]


def drawing():
    lines = [BEGIN.rstrip(), "flowchart BT"]
    for title, rooms in (("device half", [r for r in ARROWS if r in DEVICE_HALF]),
                         ("workbench, with LibTorch", [r for r in ARROWS if r not in DEVICE_HALF])):
        lines += [f'  subgraph "{title}"', "    " + "; ".join(rooms), "  end"]
    for start in ARROWS:
        for end, label in direct(start):
            lines.append(f"  {start} -->{'' if label == end else f'|{label}|'} {end}")
    return "\n".join(lines) + "\n" + END


def redrawn(text):
    """The text with the drawing as it should be."""
    before, found, rest = text.partition(BEGIN)
    after = rest.partition("\n" + END)[2]
    if not found or not after:
        sys.exit(f"{FILE.name} has no place for the drawing: a block of mermaid")
    return before + drawing() + after


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    FILE.write_text(redrawn(FILE.read_text()))
