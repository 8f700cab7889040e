#!/usr/bin/env python3
"""quantize.gptq beside llm-compressor's GPTQ, or quantize.tune beside AutoRound: whole programs, runs in turn.

    llm_compressor.py GPTQ --model off-grid --calibration calib.txt --work DIR [--pairs 2]

Same checkpoint, same calibration windows of 512 tokens, same format: projections in 4 bits in groups of 64, asymmetric
with GPTQ, symmetric with AutoRound; embedding and head as they are. AutoRound takes its light setting, 50 steps a
block, and so does quantize.tune. Prints, and writes to DIR/<method>.json: seconds and peak resident memory of each
run, median ratios. What they are worth is scored by ../quality/table.py.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "quality"))
import peers  # noqa: E402

STAGES = {"GPTQ": "{pass: quantize.gptq, bits: 4, group_size: 64, symmetric: false}",
          "AutoRound": "{pass: quantize.tune, bits: 4, group_size: 64, symmetric: true, steps: 50}"}


def measured(command):
    """Seconds and peak resident bytes of a whole process."""
    start = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{command[0]} ended with status {os.waitstatus_to_exitcode(status)}")
    return {"s": time.monotonic() - start, "peak_B": usage.ru_maxrss * 1024}


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=STAGES)
    for name in ("model", "calibration", "work"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--ecld", default="build/release/ecld")
    parser.add_argument("--llm-compressor", default=".venv-slow/bin/python", help="a Python that has it and AutoRound")
    parser.add_argument("--calibration-windows", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=2)
    arguments = parser.parse_args()
    work, method = arguments.work, arguments.method
    work.mkdir(parents=True, exist_ok=True)
    recipe, tokens = work / f"{method}.yaml", work / "windows.json"
    recipe.write_text(f"version: 1\nname: {method}\nstages:\n  - {STAGES[method]}\ncalibration: "
                      f"{{windows: {arguments.calibration_windows}, window_tok: 512, choice: even}}\n")
    tokens.write_text(json.dumps(peers.windows(arguments)[1]))
    runs = {"ecld": [], "peer": []}
    for pair in range(arguments.pairs):
        commands = {
            "peer": [arguments.llm_compressor, HERE.parent / "quality" / "llm_compressor.py", method, arguments.model,
                     fresh(work / f"{method}-peer"), tokens],
            "ecld": [arguments.ecld, "compress", recipe, "--model", arguments.model, "--calibration",
                     arguments.calibration, "--out", fresh(work / f"{method}-ecld")]}
        for program in commands if pair % 2 == 0 else reversed(commands):
            runs[program].append(measured(commands[program]))
            print(f"{program}: {runs[program][-1]['s']:.0f} s, {runs[program][-1]['peak_B'] / 1e9:.2f} GB", flush=True)
    medians = {program: {key: statistics.median(run[key] for run in runs[program]) for key in ("s", "peak_B")}
               for program in runs}
    ratios = {key: medians["peer"][key] / medians["ecld"][key] for key in ("s", "peak_B")}
    (work / f"{method}.json").write_text(json.dumps({"runs": runs, "medians": medians, "peer_to_ours": ratios}, indent=1))
    print(f"peer to ecld: time {ratios['s']:.2f}, peak memory {ratios['peak_B']:.2f}")


if __name__ == "__main__":
    main()
