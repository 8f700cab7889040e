#!/usr/bin/env python3
"""Accuracy, hallucination, energy and accessibility of one checkpoint: as it is, quantized, pruned, and both.

    table.py --model DIR --calibration TEXT --text HELD-OUT --data DIR --work DIR --limit 200 --device epyc_two_cores.yaml

Quantized: recipe gptq4 (4 bits, groups of 64). Pruned: prune.yaml. Both: gptq4 on what was pruned. 32 calibration windows of
512 tokens for each. All are scored on the bytes as written: tasks and text exactly (float32), paired with the dense one;
times and memory as a device would run them, on this machine, which should be quiet then: --until-profiles stops before.

What is in --work already is not made again. There will be: a folder for each checkpoint; results/, what `ecld` wrote;
scores.txt, every figure; report.html; and table.md, which is printed too. * marks what is modelled, all else is measured;
in brackets 95 % intervals, of devices from sure to possible. --device: an entry for the catalogue with the coefficients
of energy of this machine, where its energy cannot be measured."""
import argparse
import json
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
# name: recipe, made from
VARIANTS = {"dense": None, "quantized": ("gptq4", "dense"), "pruned": (HERE / "prune.yaml", "dense"), "both": ("gptq4", "pruned")}


class Work:
    def __init__(self, options):
        self.options, self.folder, self.results = options, options.work, options.work / "results"
        self.results.mkdir(parents=True, exist_ok=True)

    def ecld(self, *command):
        return subprocess.run([self.options.ecld, *map(str, command)], check=True, stdout=subprocess.PIPE, text=True).stdout

    def checkpoint(self, name):
        return self.options.model if name == "dense" else self.folder / name

    def compress(self, name):
        recipe, parent = VARIANTS[name]
        if not self.checkpoint(name).exists():
            self.ecld("compress", recipe, "--model", self.checkpoint(parent), "--out", self.checkpoint(name), "--calibration",
                      self.options.calibration, "--set", "calibration.windows=32", "--set", "calibration.window_tok=512")

    def score(self, name):
        """What it knows, on tasks and on a text; the dense one's samples serve for every comparison with it."""
        tasks, text, samples = self.results / f"{name}-tasks.json", self.results / f"{name}-text.json", self.samples(name)
        beside = [] if name == "dense" else ["--reference", self.options.model]
        if not text.exists():
            self.ecld("eval", self.checkpoint(name), "--text", self.options.text, "--window", 512, "--windows",
                      self.options.windows, "--json", text, *beside)
        if not tasks.exists():
            if beside:
                shutil.copytree(self.samples("dense"), samples / "reference", dirs_exist_ok=True)
            self.ecld("eval", self.checkpoint(name), "--tasks", self.options.tasks, "--data", self.options.data, "--limit",
                      self.options.limit, "--samples", samples, "--json", tasks, *beside)

    def samples(self, name):
        return self.folder / "samples" / name

    def profile(self, name):
        out = self.results / f"{name}.profile"
        if not out.exists():
            self.ecld("profile", self.checkpoint(name), "--out", out, "--variant-id", name, "--budget", self.options.budget)
        self.ecld("profile", self.checkpoint(name), "--out", out, "--only-scores", "--samples", self.samples(name), "--eval",
                  self.results / f"{name}-tasks.json", self.results / f"{name}-text.json")

    def catalogue(self):
        """As options of a verb."""
        if not self.options.device:
            return []
        path = self.folder / "devices.yaml"
        path.write_text((HERE.parents[1] / "profile/score/devices.yaml").read_text() + self.options.device.read_text())
        return ["--catalogue", path]

    def show(self):
        profiles = [self.results / f"{name}.profile" for name in VARIANTS]
        (self.folder / "scores.txt").write_text(self.ecld("scores", *profiles, *self.catalogue()))
        cards = json.loads(self.ecld("scores", *profiles, *self.catalogue(), "--json", "-"))["scorecards"]
        scores = [self.results / f"{name}-{kind}.json" for name in VARIANTS for kind in ("tasks", "text")]
        self.ecld("report", *profiles, *scores, "--out", self.folder / "report.html", *self.catalogue())
        return cards

    def result(self, name, kind):
        return json.loads((self.results / f"{name}-{kind}.json").read_text())


def number(value, unit):
    return f"{value / 1e6:.1f} MB" if unit == "B" else f"{value:.3g}" + ("" if unit == "1" else f" {unit}")


def cell(figure):
    if figure is None or figure["value"] is None:
        return "-"
    text = number(figure["value"], figure["unit"])
    if figure["interval"]:
        text += " [{}, {}]".format(*(f"{bound:.3g}" for bound in figure["interval"]))
    if figure["name"].startswith("new errors"):
        text += ", " + figure["method"].split(", ")[-1]
    return text + ("*" if figure["kind"] == "modelled" else "")


def figure_rows(cards):
    """What `ecld` takes for the headlines."""
    names = dict.fromkeys((f["metric"], f["name"]) for card in cards for f in card["figures"] if f["headline"])
    order = list(dict.fromkeys(f["metric"] for f in cards[0]["figures"]))
    for metric, name in sorted(names, key=lambda found: order.index(found[0])):
        found = [next((f for f in card["figures"] if (f["metric"], f["name"]) == (metric, name)), None) for card in cards]
        yield metric, name, [cell(figure) for figure in found]


def text_row(work, name_of_metric, shown):
    cells = []
    for name in VARIANTS:
        found = {metric["name"]: metric for metric in work.result(name, "text")["metrics"]}.get(name_of_metric)
        cells.append(f"{found['value']:.4g} ± {found['se']:.2g}" if found else "-")
    return "accuracy", shown, cells


def lost_row(work):
    """Tasks on which the paired test tells it from the dense one."""
    cells = []
    for name in VARIANTS:
        paired = {task["task"]: task["against_reference"] for task in work.result(name, "tasks")["tasks"]
                  if task.get("against_reference")}
        told = [f"{task} {test['accuracy_difference']:+.3f} (p {test['p']:.1g})" for task, test in paired.items()
                if test["p"] < 0.05]
        cells.append("-" if not paired else ", ".join(told) or f"none of {len(paired)}")
    return "accuracy", "told from dense by McNemar's test, p < 0.05", cells


def markdown(work, cards):
    rows = list(figure_rows(cards))
    rows[1:1] = [text_row(work, "perplexity", "perplexity of the text (± standard error)"),
                 text_row(work, "kl", "KL to dense, nat/token"), lost_row(work)]
    lines = ["| | | " + " | ".join(VARIANTS) + " |", "|---|---|" + "---|" * len(VARIANTS)]
    before = ""
    for metric, shown, cells in rows:
        lines.append(f"| {metric if metric != before else ''} | {shown} | {' | '.join(cells)} |")
        before = metric
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "calibration", "text", "data", "work"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--ecld", default="build/release/ecld")
    parser.add_argument("--device", type=pathlib.Path)
    parser.add_argument("--tasks", default="accuracy,hallucination", help="as of `eval`")
    parser.add_argument("--limit", type=int, default=0, help="documents of each task; 0: all")
    parser.add_argument("--windows", type=int, default=40, help="of 512 tokens of the text")
    parser.add_argument("--budget", type=int, default=90, help="seconds for each profile")
    parser.add_argument("--until-profiles", action="store_true", help="stop before what wants a quiet machine")
    work = Work(parser.parse_args())
    for name in VARIANTS:
        if VARIANTS[name]:
            work.compress(name)
        work.score(name)
    if work.options.until_profiles:
        return
    for name in VARIANTS:
        work.profile(name)
    table = markdown(work, work.show())
    (work.folder / "table.md").write_text(table)
    print(table, end="")


if __name__ == "__main__":
    main()
