#!/usr/bin/env python3
"""Plain prose out of a manual's text form: stdin to stdout, one paragraph on each line.

Tables, contents, headings, commands and lists of links are left out: what remains are paragraphs of sentences.
"""
import re
import sys

MIN_CHARS = 120
MIN_LETTERS = 0.75  # of all characters, spaces apart
SENTENCE_END = re.compile(r"[.!?:)”\"]$")


def paragraphs(text):
    for block in re.split(r"\n\s*\n", text):
        lines = [line.strip() for line in block.splitlines()]
        if any(line.startswith(("|", "+-", "$ ", "# ", "---")) for line in lines):
            continue
        yield re.sub(r"\s+", " ", " ".join(lines)).strip().removeprefix("* ")


def is_prose(paragraph):
    if len(paragraph) < MIN_CHARS or not SENTENCE_END.search(paragraph):
        return False
    visible = paragraph.replace(" ", "")
    return sum(character.isalpha() for character in visible) >= MIN_LETTERS * len(visible)


seen = set()
for candidate in paragraphs(sys.stdin.read()):
    if is_prose(candidate) and candidate not in seen:
        seen.add(candidate)
        print(candidate)
