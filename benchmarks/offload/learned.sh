#!/bin/bash
# What is learned beside the rules, with limits, on devices on the move: ten seeds at each number of users, each policy
# tried on runs that none has learned on. After table.py, with the same WORK; goes on where it was stopped.
#   benchmarks/offload/learned.sh WORK [BUILD]
set -euo pipefail
work=$1 build=${2:-build/release}
network='{kind: markov, shared: false, regimes: [{up_Mbps: 50, down_Mbps: 150, rtt_ms: 15, mean_s: 20},
  {up_Mbps: 10, down_Mbps: 40, rtt_ms: 35, mean_s: 10}, {up_Mbps: 0.02, down_Mbps: 5, rtt_ms: 120, mean_s: 8}]}'
for users in ${USERS:-20 60}; do
  set=(--set "network=${network//$'\n'/}" --set "devices.0.count=$users" --set devices.0.energy_budget_J=0.12
       --set 'limits={accuracy: 0.5, deadline_s: 1}' --set servers.0.batch=4 --set epoch_ms=0 --set horizon_s=100
       --set warmup_s=0)
  "$build/ecld" offload train "$work/scenario.yaml" --seeds 10 --steps 200000 --out "$work/learned-$users" "${set[@]}"
  "$build/ecld" offload compare "$work/scenario.yaml" "${set[@]}" --json "$work/beside-learned-$users.json" \
    --policies "latency,local,nearest,random,threshold,goa,drift,learned:$work/learned-$users"
  "$build/ecld" report "$work/beside-learned-$users.json" --out "$work/beside-learned-$users.html"
done
