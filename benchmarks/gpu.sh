#!/usr/bin/env bash
# Everything that the CUDA products are to be shown on a GPU, in one call: builds for it, runs the tests (which a missing
# GPU fails), some of them under compute-sanitizer, times the products beside cuBLAS and LibTorch's int4 product, and
# writes what dispatch is to be.
#
#   benchmarks/gpu.sh OUT_DIR [BUILD] [SECONDS_FOR_TIMING]
#
# OUT_DIR gets build.log, tests.log, operators.log, sanitizer.log, bench.log, results.json, roofline.svg and
# dispatch.csv, and decode.log with decode.json: a model of Llama-3.1-8B's shapes, random 4-bit weights, decoding. BUILD:
# a preset of scripts/build.sh, "cuda" where none is given, or a folder that holds what is built here already. LibTorch
# is that of .venv, else of python3; where Python can import it, the operators of libecld_operators.so run there too.
# wgmma enters dispatch.csv only where its tests have passed here. ECLD_GPU_MODEL=DIR: a packed checkpoint, whose text
# on the GPU the tests compare with the processor's. Needs 6 GB in TMPDIR. Exit status: 0 when all that was run has
# passed.
set -euo pipefail
cd "$(dirname "$0")/.."
if (( $# < 1 || $# > 3 )); then
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
out=$1 build=${2:-cuda} seconds=${3:-200}
if ! [[ $seconds =~ ^[1-9][0-9]*$ ]]; then
  echo "error: SECONDS_FOR_TIMING is \"$seconds\", not a whole number above 0" >&2
  exit 2
fi
if ! command -v nvidia-smi >/dev/null || ! nvidia-smi --list-gpus 2>/dev/null | grep -q .; then
  echo "error: nvidia-smi lists no GPU on this machine; this measures on one" >&2
  exit 1
fi
mkdir -p "$out"
out=$(cd "$out" && pwd)
begin=$SECONDS
say() { echo "[$((SECONDS - begin)) s] $*"; }
# LibTorch, and beside it cuBLAS, where they are not installed for all.
for site in .venv/lib/python3*/site-packages; do :; done
if [[ ! -d $site ]]; then
  site=$(python3 -c 'import os, torch; print(os.path.dirname(os.path.dirname(torch.__file__)))' 2>/dev/null || true)
fi
for folder in "$site"/{nvidia/cu13/lib,torch/lib}; do
  [[ -d $folder ]] && LD_LIBRARY_PATH="$(cd "$folder" && pwd):${LD_LIBRARY_PATH:-}"
done
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}

nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,power.limit --format=csv | tee "$out/gpu.csv"
if [[ -d $build ]]; then
  say "built already: $build"
else
  say "building ($out/build.log)"
  preset=$build build=build/$build
  {
    [[ -d .venv ]] || cmake --preset "$preset" -DECLD_TORCH_DIR="$site/torch"
    scripts/build.sh "$preset" test_gpu gpu_gemm_bench ecld_operators ecld-device random_checkpoint
  } >"$out/build.log" 2>&1 || { tail -n 30 "$out/build.log"; exit 1; }
fi

failed=0
say "tests on the GPU ($out/tests.log)"
ECLD_REQUIRE_GPU=1 "$build/test_gpu" --gtest_brief=1 --gtest_filter='-*Wgmma*' >"$out/tests.log" 2>&1 || { failed=1; tail -n 30 "$out/tests.log"; }
trust=()
if ECLD_REQUIRE_GPU=1 "$build/test_gpu" --gtest_brief=1 --gtest_filter='*Wgmma*' >>"$out/tests.log" 2>&1; then
  trust=(--trust-wgmma)
else
  failed=1
  say "wgmma failed its tests, and stays out of dispatch.csv"
  tail -n 20 "$out/tests.log"
fi

python=python3
[[ -x .venv/bin/python ]] && python=.venv/bin/python
if [[ -f $build/libecld_operators.so ]] && "$python" -c 'import numpy, torch' 2>/dev/null; then
  say "operators of LibTorch ($out/operators.log)"
  ECLD_REQUIRE_GPU=1 ECLD_BIN_DIR=$build "$python" tests/oracle/torch_operators_oracle.py >"$out/operators.log" 2>&1 || { failed=1; tail -n 20 "$out/operators.log"; }
else
  say "skipped: no libecld_operators.so, or no torch for Python"
fi

if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck; do
    say "compute-sanitizer $tool ($out/sanitizer.log)"
    ECLD_REQUIRE_GPU=1 compute-sanitizer --tool "$tool" --error-exitcode 9 "$build/test_gpu" --gtest_brief=1 \
      --gtest_filter='*Sanitized*' >>"$out/sanitizer.log" 2>&1 || { failed=1; tail -n 20 "$out/sanitizer.log"; }
  done
else
  say "skipped: compute-sanitizer is not installed"
fi

say "timing ($out/bench.log)"
"$build/gpu_gemm_bench" --out "$out" --bits 4,8,3,2 --budget "$seconds" "${trust[@]}" \
  benchmarks/shapes/fused/{llama-3.1-8b,published,qwen3-8b,mistral-nemo-12b}.txt >"$out/bench.log" 2>"$out/bench.err" || { failed=1; cat "$out/bench.err"; }
sed -n '/^block/,$p' "$out/bench.log"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/shape"
cp benchmarks/shapes/llama-3.1-8b-w4.json "$scratch/shape/config.json"
say "a model of Llama-3.1-8B's shapes ($out/decode.log)"
{
  "$build/random_checkpoint" "$scratch/shape/config.json" "$scratch/random-8b-w4" &&
    "$build/ecld-device" bench "$scratch/random-8b-w4" --device cuda --prompt 512 --generate 128 --json "$out/decode.json"
} >"$out/decode.log" 2>&1 || { failed=1; tail -n 20 "$out/decode.log"; }
grep -E '"(test|tok_per_s|roof_share|J_per_tok)"' "$out/decode.json" || true
say "done; copy $out/dispatch.csv to kernels/gemm/dispatch/cuda.csv to take it over"
exit "$failed"
