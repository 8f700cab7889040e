#!/usr/bin/env bash
# Does rounding a large model stream? Makes checkpoints of the layer shapes of CONFIG (a config.json; Llama-3.1-8B's as
# a rule) with 4 and 8 layers of random BF16 weights, and rounds both to 4 bits. Peak memory must not depend on the
# number of layers, and the input must be read at no less than half the rate at which the machine copies the file.
#
#   benchmarks/streaming.sh CONFIG.json [BUILD_DIR] [SCRATCH_DIR] [LAYERS...]
#
# Needs 20 GB of scratch disk for an 8B, and GNU time. LAYERS: 4 and 8, or only one of them: a part of the measurement,
# on what an earlier call has made in SCRATCH_DIR.
set -euo pipefail
config=$1 build=${2:-build/dev} scratch=${3:-$(mktemp -d)}
layer_counts=("${@:4}")
(( ${#layer_counts[@]} )) || layer_counts=(4 8)
runs=3
mkdir -p "$scratch"

# seconds COMMAND...: wall-clock seconds of a command; what it says is shown only when it fails, which ends the script.
seconds() {
  local begin end
  begin=$(date +%s.%N)
  "$@" >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; return 1; }
  end=$(date +%s.%N)
  echo "$end $begin" | awk '{print $1 - $2}'
}
median() { sort -g | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

for layers in "${layer_counts[@]}"; do
  model=$scratch/model-$layers
  mkdir -p "$model-shape"
  sed -E "s/(\"num_hidden_layers\"): *[0-9]+/\1: $layers/" "$config" > "$model-shape/config.json"
  [[ -e $model/config.json ]] || "$build/random_checkpoint" "$model-shape/config.json" "$model"
  bytes=$(du -b --total "$model"/*.safetensors | tail -n 1 | cut -f 1)
  copies=() rounds=() peaks=()
  # In turn, so that a drifting disk hits both alike.
  for (( run = 0; run < runs; ++run )); do
    rm -rf "$scratch/copy"; sync
    copies+=("$(seconds cp -r "$model" "$scratch/copy")")
    rm -rf "$scratch/copy" "$scratch/out" "$scratch/out.work"; sync
    rounds+=("$(seconds /usr/bin/time -f %M -o "$scratch/peak" "$build/ecld" compress w4 --model "$model" --out "$scratch/out")")
    peaks+=("$(tail -n 1 "$scratch/peak")")
  done
  rm -rf "$scratch/out"
  copy=$(printf '%s\n' "${copies[@]}" | median) round=$(printf '%s\n' "${rounds[@]}" | median)
  peak=$(printf '%s\n' "${peaks[@]}" | median)
  awk -v l=$layers -v b="$bytes" -v c="$copy" -v r="$round" -v p="$peak" 'BEGIN {
    printf "%d layers, %.2f GB: copy %.2f GB/s, compress reads %.2f GB/s, ratio %.2f; peak resident memory %.2f GB (measured)\n",
           l, b / 1e9, b / c / 1e9, b / r / 1e9, c / r, p * 1024 / 1e9 }'
done
