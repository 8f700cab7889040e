#!/usr/bin/env bash
# Sets up, builds and runs the tests: all but the slow tier. Arguments go to CTest instead:
#   ./test.sh -L unit            only one tier: unit, cli, oracle, asan, arm64, fuzz, slow
#   ./test.sh -R Tokenizer       only tests with this in their name
# ECLD_TEST_DATA=DIR             real models and texts; tests that need them are skipped without it
# ECLD_FUZZ_SECONDS=10           time for each fuzz target
# ECLD_FUZZ_SEED=1               other inputs for the fuzz targets
set -euo pipefail
cd "$(dirname "$0")"

# step NAME COMMAND...: runs it, and keeps what it took for the lines at the end.
took=()
step() {
  local begin=$SECONDS status=0
  "${@:2}" || status=$?
  took+=("$(printf '%5d s  %s' $((SECONDS - begin)) "$1")")
  return $status
}
trap 'printf "test.sh: %s\n" "${took[@]}" "$(printf "%5d s  in all" $SECONDS)" >&2' EXIT

step "setup" scripts/setup.sh --tests
for preset in dev asan; do
  step "build of $preset" scripts/build.sh $preset
done
if [[ -f build/arm64-sysroot/stamp ]] && command -v aarch64-linux-gnu-g++ qemu-aarch64 >/dev/null; then
  step "build of arm64" scripts/build.sh arm64
else
  mkdir -p build/arm64
  cat > build/arm64/CTestTestfile.cmake <<'EOF'
add_test(arm64 sh -c "echo 'a cross compiler for Arm, qemu-user or build/arm64-sysroot is missing'; exit 77")
set_tests_properties(arm64 PROPERTIES LABELS arm64 SKIP_RETURN_CODE 77)
EOF
fi

# One CTest run over the builds.
printf 'subdirs(%s)\n' dev asan arm64 > build/CTestTestfile.cmake

if [[ -z "${ECLD_TEST_DATA:-}" ]]; then
  echo "test.sh: ECLD_TEST_DATA is not set: tests on real models and texts will be skipped." >&2
fi
arguments=("$@")
(( $# )) || arguments=(-LE slow)
step "tests" ctest --test-dir build --parallel "$(nproc)" --output-on-failure "${arguments[@]}"
