#!/usr/bin/env bash
# scripts/tidy.sh [--headers | FILE...]: clang-tidy with the list in .clang-tidy over the rooms, or these files, or (in a
# few minutes) all headers, each folder's as one program; but those of one instruction set, which only their sources
# read. Takes long, so it is no part of test.sh. Needs Debian's clang-tidy and a configured build/dev.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v clang-tidy >/dev/null || { echo "tidy: needs clang-tidy (apt-get install clang-tidy)" >&2; exit 1; }
[[ -f build/dev/compile_commands.json ]] || { echo "tidy: run scripts/build.sh dev first" >&2; exit 1; }

headers="^$PWD/[a-z]"  # all of ours, and none of .venv
tidy=(clang-tidy --quiet --config-file=.clang-tidy --header-filter="$headers"
      --extra-arg=-Wno-unknown-warning-option)  # the build's flags are for GCC
if [[ ${1:-} == --headers ]]; then
  programs=$(mktemp -d)
  trap 'rm -rf "$programs"' EXIT
  git ls-files '*.h' ':!tests' ':!kernels/simd' ':!kernels/*/rows.h' ':!kernels/*/blocks.h' \
    ':!*neon*' | while read -r header; do
    folder=${header%/*}
    printf '#include "%s"  // NOLINT\n' "$header" >>"$programs/${folder//\//_}.cpp"
  done
  torch=(.venv/lib/python3*/site-packages/torch/include)
  printf '%s\0' "$programs"/*.cpp | xargs -0 -I{} -P "$(nproc)" "${tidy[@]}" {} -- -std=c++20 -DECLD_VERSION=\"\" -I"$PWD" \
    -isystem "$torch" -isystem "$torch/torch/csrc/api/include"
  exit
fi
files=("$@")
(( $# )) || mapfile -t files < <(git ls-files '*.cpp' ':!tests' ':!benchmarks' ':!fuzz')
printf '%s\0' "${files[@]}" | xargs -0 -n 4 -P "$(nproc)" "${tidy[@]}" -p build/dev
