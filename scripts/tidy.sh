#!/usr/bin/env bash
# scripts/tidy.sh [FILE...]: clang-tidy with the list in .clang-tidy over the rooms (or these files). Takes minutes, so
# it is no part of test.sh. Needs Debian's clang-tidy and a configured build/dev.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v clang-tidy >/dev/null || { echo "tidy: needs clang-tidy (apt-get install clang-tidy)" >&2; exit 1; }
[[ -f build/dev/compile_commands.json ]] || { echo "tidy: run scripts/build.sh dev first" >&2; exit 1; }

files=("$@")
(( $# )) || mapfile -t files < <(git ls-files '*.cpp' ':!tests' ':!benchmarks' ':!fuzz')
headers="^$PWD/[a-z]"  # all of ours, and none of .venv
printf '%s\0' "${files[@]}" | xargs -0 -n 4 -P "$(nproc)" clang-tidy --quiet -p build/dev \
  --header-filter="$headers" \
  --extra-arg=-Wno-unknown-warning-option  # the build's flags are for GCC
