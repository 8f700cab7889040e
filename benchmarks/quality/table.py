#!/usr/bin/env python3
"""Quality against size: one checkpoint, compressed by recipes of ours and by other programs, scored on the same tokens.

    table.py --model off-grid --calibration calib.txt --text held-out.txt --work DIR [--only gptq-w4 "llama.cpp Q4_1"]

Protocol: windows of 512 tokens, the second half of each scored; KL of the original's next-token distribution to the
result's, in nats per token, with its standard error, computed by `ecld eval` in float32 from the weights as written.
All calibrate on the same windows, spread evenly over the calibration text. MB are of all weights, the embedding
included. peers.py says how the others are made and what they need.

What is in DIR already is not made again. DIR/table.md is the table, DIR/results what was scored, DIR/table.html a page
of it and DIR/*.svg its charts, by `ecld report`.
"""
import argparse
import json
import pathlib
import subprocess

import peers

W5 = "bits: 5, group_size: 128, symmetric: false"
W4 = "bits: 4, group_size: 128, symmetric: false"
W4_G32 = "bits: 4, group_size: 32, symmetric: false"
W3 = "bits: 3, group_size: 64, symmetric: false"
W2 = "bits: 2, group_size: 32, symmetric: false"
# What writes to the residual stream costs most there.
MIXED = "[{match: '*.o_proj', bits: 4}, {match: '*.down_proj', group_size: 32}]"
E8 = "embeddings: {bits: 8}"
RECIPES = {
    "rtn-w4": [f"{{pass: quantize.round, {W4}, clip: mse, {E8}}}"],
    "gptq-w4": [f"{{pass: quantize.gptq, {W4}, {E8}}}"],
    "gptq-w6-e6": ["{pass: quantize.gptq, bits: 6, group_size: 128, symmetric: false, embeddings: {bits: 6}}"],
    "gptq-w5-e4": [f"{{pass: quantize.gptq, {W5}, embeddings: {{bits: 4, group_size: 32}}}}"],
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
    "gptq-w3-mixed": [f"{{pass: quantize.gptq, {W3}, embeddings: {{bits: 4}}, overrides: {MIXED}}}"],
    "gptq-w2": [f"{{pass: quantize.gptq, {W2}, {E8}}}"],
    "tune-w2": [f"{{pass: quantize.tune, {W2}, steps: 50, {E8}}}"],
}
# Rounded by the curvature of the model's KL: the same formats, and a format for each matrix as quantize.allocate chooses
# them, fused neighbours alike, so that vLLM's loader takes them.
RECIPES |= {f"kl-{name}": [f"{{pass: quantize.gptq, {scheme}, {E8}, output: kl}}"]
            for name, scheme in (("w4", W4), ("w3", W3), ("w2", W2))}
RECIPES |= {f"allocate-{budget}MB": [f"{{pass: quantize.allocate, budget_MB: {budget}}}",
                                     "{pass: quantize.gptq, output: kl}"] for budget in (104, 97, 86, 72, 62, 50)}
# A format for each matrix as formats.py chose them.
RECIPES |= {path.stem: [" ".join(path.read_text().split())]
            for path in sorted((pathlib.Path(__file__).parent / "stages").glob("*.yaml"))}


def ours(name, arguments):
    """The folder of a recipe's result, and the bytes of its weights."""
    folder = arguments.work / name
    if not (folder / "report.json").exists():
        recipe = arguments.work / f"{name}.yaml"
        recipe.write_text(f"version: 1\nname: {name}\n"
                          f"calibration: {{windows: {arguments.calibration_windows}, window_tok: 512, choice: even}}\n"
                          "stages:\n" + "".join(f"  - {stage}\n" for stage in RECIPES[name]))
        subprocess.run([arguments.ecld, "compress", recipe, "--model", arguments.model, "--out", folder,
                        "--calibration", arguments.calibration], check=True)
    return folder, json.loads((folder / "report.json").read_text())["output"]["weights_B"]


def score(name, arguments):
    """A line of the table; the score goes into DIR/results, under the name and with the bytes of what was scored."""
    folder, weights_B = ours(name, arguments) if name in RECIPES else peers.make(name, arguments)
    scores = arguments.work / "results" / f"{name.replace(' ', '-')}.json"
    if not scores.exists():
        part = scores.with_suffix(".part")
        subprocess.run([arguments.ecld, "eval", folder, "--reference", arguments.model, "--text", arguments.text,
                        "--window", "512", "--score-from", "256", "--windows", str(arguments.windows), "--json",
                        part], check=True, stdout=subprocess.DEVNULL)
        result = json.loads(part.read_text())
        result["model"] |= {"directory": name, "weights_B": weights_B}
        part.write_text(json.dumps(result, indent=1))
        part.rename(scores)
    metrics = {metric["name"]: metric for metric in json.loads(scores.read_text())["metrics"]}
    return {"name": name, "ours": name in RECIPES, "weights_B": weights_B, "kl": metrics["kl"]["value"],
            "se": metrics["kl"]["se"], "perplexity": metrics["perplexity"]["value"]}


def markdown(rows):
    lines = ["| | MB | KL, nat/token | perplexity | best of the others in no more bytes |",
             "|---|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: -row["weights_B"]):
        below = [peer for peer in rows if not peer["ours"] and peer["weights_B"] <= row["weights_B"]]
        best = min(below, key=lambda peer: peer["kl"], default=None) if row["ours"] else None
        name = f"`{row['name']}`" if row["ours"] else row["name"]
        beside = "" if not row["ours"] else f"{best['name']}, {best['kl']:.3f}" if best else "none"
        lines.append(f"| {name} | {row['weights_B'] / 1e6:.1f} | {row['kl']:.3f} ± {row['se']:.3f} | "
                     f"{row['perplexity']:.1f} | {beside} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "calibration", "text", "work"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--ecld", default="build/release/ecld")
    parser.add_argument("--llama-cpp", type=pathlib.Path, help="build folder of benchmarks/peers/llama_cpp.py")
    parser.add_argument("--llm-compressor", default=".venv-slow/bin/python", help="a Python that has it and AutoRound")
    parser.add_argument("--windows", type=int, default=40)
    parser.add_argument("--calibration-windows", type=int, default=128)
    names = [*RECIPES, *peers.NAMES]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    arguments = parser.parse_args()
    if arguments.windows < 2 or arguments.calibration_windows < 2:
        parser.error("--windows, --calibration-windows: at least 2")
    if not arguments.llama_cpp and any(name in peers.LLAMA_CPP for name in arguments.only):
        parser.error("--llama-cpp: needed for these rows; benchmarks/peers/llama_cpp.py build makes it")
    (arguments.work / "results").mkdir(parents=True, exist_ok=True)
    table = markdown([score(name, arguments) for name in arguments.only])
    (arguments.work / "table.md").write_text(table)
    subprocess.run([arguments.ecld, "report", arguments.work / "results", "--out", arguments.work / "table.html",
                    "--charts", arguments.work], check=True, stdout=subprocess.DEVNULL)
    print(table, end="")


if __name__ == "__main__":
    main()
