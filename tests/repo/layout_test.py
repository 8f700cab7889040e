#!/usr/bin/env python3
"""Every room says what it is, no file grows out of hand, nothing unfinished is left behind, and no loop runs alone."""
import re
import sys

from tracked import ROOT, tracked

MAX_LINES = 500
MAX_README_LINES = 60
ROOMS = ("core", "profile", "kernels", "checkpoint", "runtime", "eval", "cli", "model", "operators", "prune", "quantize", "distill",
         "recipes", "tests", "benchmarks", "fuzz")
CODE = (".h", ".cpp", ".cu", ".cuh", ".py", ".sh", ".cmake")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|@[A-Z][A-Z0-9_]*@")  # the last: a figure to be filled in
ALONE = re.compile(r"\bat::parallel_for\b")  # its body is ours, which is compiled without OpenMP


def main():
    problems = []
    for room in ROOMS:
        readme = ROOT / room / "README.md"
        if not readme.exists():
            problems.append(f"{room}/README.md is missing")
        elif len(readme.read_text().splitlines()) > MAX_README_LINES:
            problems.append(f"{room}/README.md is longer than one screen ({MAX_README_LINES} lines)")
    for name in tracked(*CODE):
        lines = (ROOT / name).read_text().splitlines()
        if len(lines) > MAX_LINES:
            problems.append(f"{name}: {len(lines)} lines, at most {MAX_LINES}")
        for number, line in enumerate(lines, 1):
            if name == "tests/repo/layout_test.py":
                continue
            if UNFINISHED.search(line):
                problems.append(f"{name}:{number}: unfinished: {line.strip()}")
            if ALONE.search(line):
                problems.append(f"{name}:{number}: runs on one thread; core/threads.h has the pool for it")
    for name in tracked(".md"):
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1):
            if UNFINISHED.search(line):
                problems.append(f"{name}:{number}: unfinished: {line.strip()}")
    print("\n".join(problems) if problems else "all in order")
    return 1 if problems else 0


sys.exit(main())
