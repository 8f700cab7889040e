#!/usr/bin/env python3
"""All policies of offloading over measured profiles: latency, accuracy, energy at several numbers of users.

    table.py --model DIR --calibration TEXT --data DIR --work DIR

Devices hold the model compressed to 50 MB (quantize.allocate, then gptq) and by recipe w4, a modelled L4 it dense.
The first LIMIT documents of each task of scenario.yaml are put to all three; times of the devices are those of this
machine, which should be quiet. What is in --work already is not made again, so that the same command goes on where it
was stopped. There will be: checkpoints, profiles, sweep-USERS.json, report.html, and table.md, also printed: means
over runs with half of the 95 % interval; latency and effective accuracy also less those of goa, run by run."""
import argparse
import json
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
SMALL = """version: 1
name: small
calibration: {windows: 64, window_tok: 512, choice: even}
stages:
  - {pass: quantize.allocate, budget_MB: 50}
  - {pass: quantize.gptq, output: kl}
"""
TASKS = "arc_easy,piqa,truthfulqa_abstain"
SHOWN = {"latency_mean": ("mean latency, ms", 1000), "latency_p95": ("p95, ms", 1000), "energy": ("J a request", 1),
         "effective_accuracy": ("effective accuracy", 1), "accuracy": ("accuracy", 1), "offloaded": ("offloaded", 1),
         "probed_in_vain": ("begun in vain", 1), "slack_accuracy": ("slack of accuracy", 1),
         "slack_energy": ("slack of energy, J", 1), "slack_deadline": ("slack of the deadline", 1)}


LESS = ("latency_mean", "effective_accuracy")


class Work:
    def __init__(self, options):
        self.options, self.folder = options, options.work
        self.folder.mkdir(parents=True, exist_ok=True)

    def ecld(self, *command):
        subprocess.run([self.options.ecld, *map(str, command)], check=True)

    def compress(self, name, recipe, *more):
        out = self.folder / name
        if not out.exists():
            self.ecld("compress", recipe, "--model", self.options.model, "--out", out, *more)
        return out

    def profile(self, name, checkpoint):
        tasks, samples, out = (self.folder / f"{name}{end}" for end in ("-tasks.json", "-samples", ".profile"))
        if not tasks.exists():
            self.ecld("eval", checkpoint, "--tasks", TASKS, "--data", self.options.data, "--limit", self.options.limit,
                      "--samples", samples, "--json", tasks)
        if not out.exists():
            self.ecld("profile", checkpoint, "--out", out, "--variant-id", name, "--budget", self.options.budget)
        self.ecld("profile", checkpoint, "--out", out, "--only-scores", "--samples", samples, "--eval", tasks)

    def sweep(self, users):
        """Of all policies at one number of users."""
        out = self.folder / f"sweep-{users}.json"
        if not out.exists():
            scenario = self.folder / "scenario.yaml"
            scenario.write_text((HERE / "scenario.yaml").read_text().replace("profile: ", f"profile: {self.folder}/"))
            self.ecld("offload", "sweep", scenario, "--over", "users", "--values", users, "--json", out,
                      *(f"--set={change}" for change in self.options.set))
        return json.loads(out.read_text())["points"][0]["policies"]


def shown(metric, scale):
    if metric is None:
        return "-"
    reach = (metric["ci95"][1] - metric["value"]) * scale
    return f"{metric['value'] * scale:.3g} ± {reach:.1g}"


def by_name(metrics):
    return {metric["name"]: metric for metric in metrics}


def markdown(sweeps):
    lines = []
    for users, policies in sweeps.items():
        found = [by_name(policy["metrics"]) for policy in policies]
        less = [by_name(policy.get("less", {}).get("metrics", [])) for policy in policies]
        names = " | ".join(policy["policy"] for policy in policies)
        lines += [f"| {users} users | {names} |", "|---" * (len(policies) + 1) + "|"]
        for name, (title, scale) in SHOWN.items():
            if any(name in metrics for metrics in found):
                lines.append(f"| {title} | " + " | ".join(shown(metrics.get(name), scale) for metrics in found) + " |")
        for name in LESS:
            title, scale = SHOWN[name]
            cells = (shown(metrics.get(name), scale) for metrics in less)
            lines.append(f"| {title}, less goa | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "calibration", "data", "work"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--ecld", default="build/release/ecld")
    parser.add_argument("--limit", type=int, default=200, help="documents of each task")
    parser.add_argument("--budget", type=int, default=90, help="seconds for each profile")
    parser.add_argument("--users", default="5,10,20,50,100")
    parser.add_argument("--set", action="append", default=[], help="a value of the scenario: weights.threshold=0.5")
    work = Work(parser.parse_args())
    recipe = work.folder / "small.yaml"
    recipe.write_text(SMALL)
    work.profile("small", work.compress("small", recipe, "--calibration", work.options.calibration))
    work.profile("w4", work.compress("w4", "w4"))
    work.profile("dense", work.options.model)
    sweeps = {users: work.sweep(users) for users in work.options.users.split(",")}
    results = (work.folder / f"sweep-{users}.json" for users in sweeps)
    work.ecld("report", *results, "--out", work.folder / "report.html")
    table = markdown(sweeps)
    (work.folder / "table.md").write_text(table)
    print(table, end="")


if __name__ == "__main__":
    main()
