#!/usr/bin/env python3
"""What structured pruning costs: one checkpoint, cut by every prune pass and score, with and without the refit;
and its feed-forward channels as other papers cut them (benchmarks/peers/structured.py).

    pruning.py --model off-grid --calibration wiki.txt c4.txt code.txt --text held-out-wiki.txt held-out-code.txt \\
               --work DIR [--only "ffn 20 % obs + refit"]

Protocol: windows of 512 tokens, the second half of each scored, on each text: excess log-perplexity over the dense
model and KL of the dense model's next-token distribution to the pruned one's, nats per token, by `ecld eval` from the
weights as written. All calibrate on the same windows. What is in DIR already is not made again. DIR/table.md is the
table.
"""
import argparse
import json
import math
import pathlib
import re
import shutil
import subprocess

PEER = pathlib.Path(__file__).parents[1] / "peers" / "structured.py"
SCORES = ["magnitude", "activation", "fluctuation", "taylor", "obs"]  # the first three look at single layers
FFN = "{{pass: prune.ffn, ratio: {}, multiple_of: 64, score: {}, repair: {}, output: {}}}"
HEADS = "{{pass: prune.heads, {}, repair: {}}}"
CHOSEN = ", ratios: chosen}"  # at the end of a stage
REFIT = {"": "false", " + refit": "true"}


def stages():
    for percent in (20, 10, 30, 40):
        for score in SCORES if percent == 20 else SCORES[3:]:
            for refit, repair in REFIT.items():
                if score != "taylor":
                    yield (f"ffn {percent} % {score}{refit}, by layer",
                           FFN.format(percent / 100, score, repair, "layer"))
                if score in SCORES[3:] or refit:
                    yield f"ffn {percent} % {score}{refit}", FFN.format(percent / 100, score, repair, "kl")
    for refit, repair in REFIT.items():
        for heads in (6, 3):
            yield f"heads {heads} of 9{refit}", HEADS.format(f"heads: {heads}", repair)
        yield f"groups 2 of 3{refit}", HEADS.format("kv_heads: 2", repair)
    for percent in (20, 30, 40):
        yield (f"ffn {percent} % obs + refit, chosen ratios",
               FFN.format(percent / 100, "obs", "true", "kl").replace("}", CHOSEN))
    yield "heads 6 of 9 + refit, chosen ratios", HEADS.format("heads: 6", "true").replace("}", CHOSEN)
    for gone in range(1, 9):
        yield f"depth {30 - gone} of 30", f"{{pass: prune.layers, remove: {gone}}}"
    for tokens in (40960, 36864, 32768):
        yield f"vocabulary {tokens}", f"{{pass: prune.vocab, tokens: {tokens}}}"


STAGES = dict(stages())
# As many channels of the 1536 as multiples of 64 leave.
PEERS = {f"ffn {percent} % {method}, peer": (method, round(24 * (1 - percent / 100)) * 64)
         for percent in (20, 10, 30, 40) for method in ("magnitude", "wanda-sp", "flap")}


def pruned(name, arguments):
    folder = arguments.work / re.sub("[^a-z0-9]+", "-", name)
    if name in PEERS and not (folder / "report.json").exists():
        method, keep = PEERS[name]
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([arguments.python, PEER, method, arguments.model, folder, "--keep", str(keep), "--windows",
                        str(arguments.calibration_windows), "--calibration", *arguments.calibration], check=True)
    elif not (folder / "report.json").exists():
        recipe = folder.with_suffix(".yaml")
        recipe.write_text(f"version: 1\nname: pruning\ncalibration: {{windows: {arguments.calibration_windows}, "
                          f"window_tok: 512}}\nstages:\n  - {STAGES[name]}\n")
        texts = [part for text in arguments.calibration for part in ("--calibration", text)]
        subprocess.run([arguments.ecld, "compress", recipe, "--model", arguments.model, "--out", folder, *texts,
                        "--statistics", arguments.work / "statistics", "--overwrite"], check=True)
    return folder


def score(folder, text, arguments):
    """Excess nats and KL with its standard error."""
    result = arguments.work / "results" / f"{folder.name}-{text.stem}.json"
    if not result.exists():
        part = result.with_suffix(".part")
        subprocess.run([arguments.ecld, "eval", folder, "--reference", arguments.model, "--text", text, "--window",
                        "512", "--score-from", "256", "--windows", str(arguments.windows), "--json", part],
                       check=True, stdout=subprocess.DEVNULL)
        part.rename(result)
    metrics = {metric["name"]: metric for metric in json.loads(result.read_text())["metrics"]}
    excess = math.log(metrics["perplexity"]["value"] / metrics["reference_perplexity"]["value"])
    return excess, metrics["kl"]["value"], metrics["kl"]["se"]


def row(name, arguments):
    folder = pruned(name, arguments)
    params = json.loads((folder / "report.json").read_text())["output"]["params"]
    cells = [f"{excess:.3f} | {kl:.3f} ± {se:.3f}" for excess, kl, se in
             (score(folder, text, arguments) for text in arguments.text)]
    line = f"| {name} | {params / 1e6:.1f} | {' | '.join(cells)} |"
    print(line, flush=True)
    return line


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "work"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    for name in ("calibration", "text"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True, nargs="+")
    parser.add_argument("--ecld", default="build/release/ecld")
    parser.add_argument("--python", default=".venv/bin/python", help="that has torch and transformers, for the peers")
    parser.add_argument("--windows", type=int, default=40)
    parser.add_argument("--calibration-windows", type=int, default=64)
    names = [*STAGES, *PEERS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME",
                        help="; ".join(names).replace("%", "%%"))
    arguments = parser.parse_args()
    (arguments.work / "results").mkdir(parents=True, exist_ok=True)
    head = "".join(f" | {text.stem}: excess | KL" for text in arguments.text)
    lines = [f"| | M params{head} |", "|---" * (2 + 2 * len(arguments.text)) + "|"]
    lines += [row(name, arguments) for name in arguments.only]
    (arguments.work / "table.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
