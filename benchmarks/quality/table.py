#!/usr/bin/env python3
"""Quality against size: compresses one checkpoint by several recipes and scores each result against the original.

    table.py --model off-grid --calibration calib.txt --text held-out.txt --work DIR [--only gptq-w4 ...]

Protocol: windows of 512 tokens, the second half of each scored; KL of the original's next-token distribution to the
result's, in nats per token, with its standard error. MB are of all weights, the embedding included. Time and peak
memory are those of the compressing stages. A result that is in DIR already is not made again.
"""
import argparse
import json
import pathlib
import subprocess

W4 = "bits: 4, group_size: 128, symmetric: false"
W4_G32 = "bits: 4, group_size: 32, symmetric: false"
W3 = "bits: 3, group_size: 64, symmetric: false"
W2 = "bits: 2, group_size: 32, symmetric: false"
E8 = "embeddings: {bits: 8}"
RECIPES = {
    "rtn-w4": [f"{{pass: quantize.round, {W4}, clip: mse, {E8}}}"],
    "gptq-w4": [f"{{pass: quantize.gptq, {W4}, {E8}}}"],
    "gptq-w4-e4": [f"{{pass: quantize.gptq, {W4}, embeddings: {{bits: 4, group_size: 32}}}}"],
    "scale+gptq-w4": [f"{{pass: quantize.scale, {W4}}}", f"{{pass: quantize.gptq, {W4}, {E8}}}"],
    "values+gptq-w4": ["{pass: quantize.rotate, residual: false}", f"{{pass: quantize.gptq, {W4}, {E8}}}"],
    "tune-w4": [f"{{pass: quantize.tune, {W4}, steps: 50, {E8}}}"],
    "rtn-w4-g32": [f"{{pass: quantize.round, {W4_G32}, clip: mse, {E8}}}"],
    "gptq-w4-g32": [f"{{pass: quantize.gptq, {W4_G32}, {E8}}}"],
    "rtn-w3": [f"{{pass: quantize.round, {W3}, clip: mse, {E8}}}"],
    "gptq-w3": [f"{{pass: quantize.gptq, {W3}, {E8}}}"],
    "scale+gptq-w3": [f"{{pass: quantize.scale, {W3}}}", f"{{pass: quantize.gptq, {W3}, {E8}}}"],
    "tune-w3": [f"{{pass: quantize.tune, {W3}, steps: 50, {E8}}}"],
    "gptq-w2": [f"{{pass: quantize.gptq, {W2}, {E8}}}"],
    "tune-w2": [f"{{pass: quantize.tune, {W2}, steps: 50, {E8}}}"],
}


def result(name, stages, arguments):
    folder = arguments.work / name
    if not (folder / "report.json").exists():
        recipe = arguments.work / f"{name}.yaml"
        recipe.write_text(f"version: 1\nname: {name}\n"
                          f"calibration: {{windows: {arguments.calibration_windows}, window_tok: 512}}\nstages:\n"
                          + "".join(f"  - {stage}\n" for stage in stages))
        subprocess.run([arguments.ecld, "compress", recipe, "--model", arguments.model, "--out", folder,
                        "--calibration", arguments.calibration], check=True)
    scores = arguments.work / f"{name}.json"
    if not scores.exists():
        subprocess.run([arguments.ecld, "eval", folder, "--reference", arguments.model, "--text", arguments.text,
                        "--window", "512", "--score-from", "256", "--windows", str(arguments.windows), "--json",
                        scores], check=True, stdout=subprocess.DEVNULL)
    metrics = {metric["name"]: metric for metric in json.loads(scores.read_text())["metrics"]}
    return json.loads((folder / "report.json").read_text()), metrics


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "calibration", "text", "work"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--ecld", default="build/release/ecld")
    parser.add_argument("--windows", type=int, default=40)
    parser.add_argument("--calibration-windows", type=int, default=128)
    parser.add_argument("--only", nargs="+", choices=RECIPES, default=list(RECIPES))
    arguments = parser.parse_args()
    if arguments.windows < 2:
        parser.error("--windows: at least 2, for a standard error")
    arguments.work.mkdir(parents=True, exist_ok=True)
    lines = []
    for name in arguments.only:
        report, metrics = result(name, RECIPES[name], arguments)
        kl, perplexity = metrics["kl"], metrics["perplexity"]["value"]
        lines.append(f"{name:18}{report['output']['weights_B'] / 1e6:8.1f}{kl['value']:10.4f}{kl['se']:9.4f}"
                     f"{perplexity:12.2f}{report['time_s']:8.0f}{report['peak_memory_B'] / 1e6:10.0f}")
    print(f"{'recipe':18}{'MB':>8}{'KL':>10}{'+-':>9}{'perplexity':>12}{'s':>8}{'peak MB':>10}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
