#!/usr/bin/env python3
"""How fast our tokenizers encode beside Hugging Face tokenizers: one thread each, same text, same run.

usage: tokenizer_peer.py --tokenize <our tokenize program> --data <test data> [tokenizer.json ...]

Times the fastest of several runs on the mixed text of the tokenizer oracle, as one text and line by line. Prints a
table; "ratio" is their time over ours.
"""
import os

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import argparse
import subprocess
import sys
import tempfile
import time

from tokenizers import Tokenizer

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "oracle"))
from tokenizer_oracle import TOKENIZERS, mixed_text


def fastest(repeats, work):
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def seconds_of_ours(program, tokenizer_json, text, repeats):
    with tempfile.TemporaryDirectory() as directory:
        os.symlink(os.path.abspath(tokenizer_json), os.path.join(directory, "tokenizer.json"))
        path = os.path.join(directory, "text")
        with open(path, "wb") as file:
            file.write(text.encode())
        command = [program, directory, path, "--time", str(repeats)]
        whole, by_line, _ = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        return float(whole), float(by_line)


def seconds_of_theirs(tokenizer_json, text, repeats):
    tokenizer = Tokenizer.from_file(tokenizer_json)
    lines = text.split("\n")
    lines = [line + "\n" for line in lines[:-1]] + [lines[-1]]

    def by_line():
        for line in lines:
            tokenizer.encode(line, add_special_tokens=False)

    return fastest(repeats, lambda: tokenizer.encode(text, add_special_tokens=False)), fastest(repeats, by_line)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenize", required=True)
    parser.add_argument("--data", default=os.environ.get("ECLD_TEST_DATA"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("tokenizers", nargs="*")
    args = parser.parse_args()
    if not args.data:
        parser.error("give --data or set ECLD_TEST_DATA")
    text = mixed_text(args.data, [])
    megabytes = len(text.encode()) / 1e6
    print(f"{'tokenizer':<44} {'text':<8} {'theirs MB/s':>12} {'ours MB/s':>12} {'ratio':>8}")
    for path in args.tokenizers or [os.path.join(args.data, "models", name) for name in TOKENIZERS]:
        theirs = seconds_of_theirs(path, text, args.repeats)
        ours = seconds_of_ours(args.tokenize, path, text, args.repeats)
        for how, a, b in zip(("whole", "by line"), theirs, ours):
            print(f"{path[-44:]:<44} {how:<8} {megabytes / a:12.2f} {megabytes / b:12.2f} {a / b:8.2f}")


if __name__ == "__main__":
    main()
