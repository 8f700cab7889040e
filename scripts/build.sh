#!/usr/bin/env bash
# scripts/build.sh PRESET [TARGET...]: configures build/PRESET as CMakePresets.json says, and builds.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
shift

if command -v ccache >/dev/null; then
  # Paths relative to the checkout, so that another checkout of the same sources finds them compiled.
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
  export CCACHE_SLOPPINESS=pch_defines,time_macros  # as precompiled headers need it
fi
mkdir -p "build/$preset"
if ! cmake --preset "$preset" >"build/$preset/configure.log" 2>&1; then
  cat "build/$preset/configure.log" >&2
  exit 1
fi

# A file that includes all of Torch takes more than 1 GB to compile.
jobs=$(nproc)
by_memory=$(awk '/MemAvailable/ {print int($2 / 1500000)}' /proc/meminfo)
(( by_memory < 1 )) && by_memory=1
(( jobs > by_memory )) && jobs=$by_memory

targets=()
(( $# )) && targets=(--target "$@")
cmake --build --preset "$preset" --parallel "$jobs" "${targets[@]}"
