#!/usr/bin/env python3
"""What world_model.sh came to. Of each way to learn: latency and slack of its seeds on held-out runs, as interquartile means
with 95 % bootstrap intervals over the seeds; and after how many steps a seed was first where PPO ends: the latency of ten
rollouts within a twentieth of PPO's last fifty (the mean of its seeds), their mean costs at most 0.02.
    benchmarks/offload/world_model.py OUT"""
import csv
import json
import pathlib
import random
import statistics
import sys

WINDOW, LAST, NEAR, OVER = 10, 50, 1 / 0.95, 0.02
KINDS = ("ppo", "values", "imagination", "both")
SHOWN = {"latency_mean": 1000, "slack_accuracy": 1, "slack_energy": 1}


def rows_of(folder):
    for file in sorted(folder.glob("seed-*/curve.csv")):
        yield [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file.open())]


def latency(rows):
    return statistics.fmean(row["latency_s"] for row in rows)


def steps_to(goal, rows):
    costs = [name for name in rows[0] if name.startswith("cost_")]
    for i in range(WINDOW, len(rows) + 1):
        window = rows[i - WINDOW:i]
        if latency(window) <= goal and all(statistics.fmean(row[cost] for row in window) <= OVER for cost in costs):
            return int(window[-1]["steps"])
    return None


def middle(values):
    values, cut = sorted(values), len(values) // 4
    return statistics.fmean(values[cut:len(values) - cut])


def interval(values):
    chance = random.Random(1)
    means = sorted(middle(chance.choices(values, k=len(values))) for _ in range(2000))
    return f"{middle(values):7.3f} [{means[50]:.3f}, {means[1949]:.3f}]"


def main(out):
    goal = NEAR * statistics.fmean(latency(rows[-LAST:]) for rows in rows_of(out / "ppo"))
    print(f"{out.name}: the goal is {1000 * goal:.1f} ms in training")
    for kind in KINDS:
        seeds = json.loads((out / f"{kind}.json").read_text())["seeds"]
        found = {name: [scale * metric["value"] for seed in seeds for metric in seed["held_out"] if metric["name"] == name]
                 for name, scale in SHOWN.items()}
        reached = sorted((steps_to(goal, rows) or float("inf")) for rows in rows_of(out / kind))
        print(f"  {kind:<12}", *(f"{name} {interval(values)}" for name, values in found.items()),
              f"steps to the goal, median {statistics.median(reached):.0f}, never {reached.count(float('inf'))}", sep="  ")
    for policy in json.loads((out / "rules.json").read_text())["points"][0]["policies"]:
        values = {metric["name"]: metric["value"] for metric in policy["metrics"]}
        print(f"  {policy['policy']:<12}", *(f"{name} {scale * values[name]:7.3f}" for name, scale in SHOWN.items()), sep="  ")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
