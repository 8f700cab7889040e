#!/usr/bin/env python3
"""The drawing in CONTRIBUTING.md is that of the table; and an arrow more would be noticed."""
import sys

import drawing


def main():
    text = drawing.FILE.read_text()
    drawing.ARROWS["report"] += " serve"
    assert drawing.redrawn(text) != text, "an arrow that nobody drew went unnoticed"
    drawing.ARROWS["report"] = drawing.ARROWS["report"].removesuffix(" serve")
    if drawing.redrawn(text) != text:
        print("the drawing is out of date: tests/repo/drawing.py --write")
        return 1
    print(f"{len(drawing.ARROWS)} rooms, drawn as the table has them")
    return 0


sys.exit(main())
