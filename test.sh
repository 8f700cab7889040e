#!/usr/bin/env bash
# Sets up, builds and runs the tests: all but the slow tier. Arguments go to CTest instead:
#   ./test.sh -L unit            only one tier: unit, cli, oracle, asan, fuzz, slow
#   ./test.sh -R tokenizer       only tests with this in their name
# ECLD_TEST_DATA=DIR             real models and texts; tests that need them are skipped without it
# ECLD_FUZZ_SECONDS=20           time for each fuzz target
# ECLD_FUZZ_SEED=1               other inputs for the fuzz targets
set -euo pipefail
cd "$(dirname "$0")"

scripts/setup.sh --tests
for preset in dev asan fuzz; do
  scripts/build.sh $preset
done

# One CTest run over the three builds.
printf 'subdirs(%s)\n' dev asan fuzz/fuzz > build/CTestTestfile.cmake

if [[ -z "${ECLD_TEST_DATA:-}" ]]; then
  echo "test.sh: ECLD_TEST_DATA is not set: tests on real models and texts will be skipped." >&2
fi
arguments=("$@")
(( $# )) || arguments=(-LE slow)
exec ctest --test-dir build --parallel "$(nproc)" --output-on-failure "${arguments[@]}"
