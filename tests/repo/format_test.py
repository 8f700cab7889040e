#!/usr/bin/env python3
"""Every C++ file is as clang-format leaves it. Versions format differently, so any other one is skipped."""
import re
import shutil
import subprocess
import sys

from tracked import ROOT, tracked

VERSION = "14"


def main():
    tool = shutil.which(f"clang-format-{VERSION}") or shutil.which("clang-format")
    found = subprocess.run([tool, "--version"], capture_output=True, text=True).stdout if tool else "none"
    if not re.search(rf"version {VERSION}\.", found):
        print(f"skipped: needs clang-format {VERSION}, found {found.strip()}")
        return 77
    files = tracked(".h", ".cpp", ".cu", ".cuh")
    return subprocess.run([tool, "--dry-run", "--Werror", *files], cwd=ROOT).returncode


sys.exit(main())
