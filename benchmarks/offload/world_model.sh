#!/bin/bash
# What a world model adds to what is learned, on a network that policies see late and whose links change all together:
# each part by itself and both, beside the rules, at two numbers of users. After table.py, with the same WORK; goes on
# where it was stopped.
#   benchmarks/offload/world_model.sh WORK [BUILD]
set -euo pipefail
work=$1 build=${2:-build/release} seeds=${SEEDS:-10} steps=${STEPS:-200000}
network='{kind: markov, shared: false, together: true, regimes: [{up_Mbps: 50, down_Mbps: 150, rtt_ms: 15, mean_s: 20},
  {up_Mbps: 10, down_Mbps: 40, rtt_ms: 35, mean_s: 10}, {up_Mbps: 0.02, down_Mbps: 5, rtt_ms: 120, mean_s: 8}]}'
export OMP_NUM_THREADS=1
for users in ${USERS:-20 60}; do
  out=$work/world-model-$users
  set=(--set "network=${network//$'\n'/}" --set link_known_after_s=6 --set "devices.0.count=$users"
       --set devices.0.energy_budget_J=0.12 --set 'limits={accuracy: 0.5, deadline_s: 1}' --set servers.0.batch=4
       --set epoch_ms=0 --set horizon_s=100 --set warmup_s=0)
  mkdir -p "$out"
  learn() {
    /usr/bin/time -a -o "$out/seconds.txt" -f "$1 %e s, %U s of processor" "$build/ecld" offload train \
      "$work/scenario.yaml" "${set[@]}" --seeds "$seeds" --steps "$steps" --out "$out/$1" --json "$out/$1.json" "${@:2}"
  }
  learn ppo
  learn values --policy world-model-ppo --parts value-targets
  learn imagination --policy world-model-ppo --parts imagination
  learn both --policy world-model-ppo
  "$build/ecld" offload compare "$work/scenario.yaml" "${set[@]}" --json "$out/rules.json" \
    --policies latency,local,nearest,random,threshold,goa,drift
  python3 "$(dirname "$0")/world_model.py" "$out"
done
