#!/usr/bin/env python3
"""The table at the end of quickstart.sh: quickstart_table.py ORIGINAL ITS-RESULTS COMPRESSED ITS-RESULTS

Results are a folder with eval.json (ecld-device eval) and profile/phase.csv (ecld-device profile). A figure that was
not measured is a dash.
"""
import csv
import json
import pathlib
import sys


def with_error(metric, digits):
    if metric is None:
        return "-"
    error = metric["se"]
    return f"{metric['value']:.{digits}f}" + (f" ± {error:.{digits}f}" if error is not None else "")


class Results:
    def __init__(self, checkpoint, folder):
        self.checkpoint = checkpoint
        self.folder = pathlib.Path(folder)
        self.eval = json.loads((self.folder / "eval.json").read_text())
        self.metrics = {metric["name"]: metric for metric in self.eval["metrics"]}
        manifest = json.loads((self.folder / "profile" / "profile.json").read_text())
        self.interleaved_B = manifest["variant"]["interleaved_B"]
        with open(self.folder / "profile" / "phase.csv", newline="") as file:
            self.phases = {(int(row["batch"]), int(row["prompt_tok"]), int(row["ctx_tok"])): row
                           for row in csv.DictReader(file) if row["prefill_ms"] and row["tpot_ms"]}


def formats(results):
    """Two of them, and how many more: a format chosen for each matrix makes a long list."""
    names = results.eval["model"]["format"].split(", ")
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def main():
    original, compressed = Results(*sys.argv[1:3]), Results(*sys.argv[3:5])
    # The longest prompt of a single request that was measured for both.
    shape = max((key for key in original.phases.keys() & compressed.phases.keys() if key[0] == 1),
                key=lambda key: key[1:], default=None)

    def size(results):
        return f"{results.eval['model']['weights_B'] / 1e6:.1f} MB"

    def interleaved(results):
        return f"{results.interleaved_B / 1e6:.1f} MB" if results.interleaved_B else "-"

    def rate(results, column):
        if shape is None:
            return "-"
        row = results.phases[shape]
        per_call = shape[1] if column == "prefill_ms" else 1
        return f"{per_call * 1000 / float(row[column]):.0f} token/s"

    def memory(results):
        peak = results.phases[shape]["mem_peak_B"] if shape else ""
        return f"{int(peak) / 1e6:.0f} MB" if peak else "-"

    windows = compressed.eval["windows"]
    prompt = f"{shape[1]} tokens" if shape else "not measured"
    rows = [
        ("", "original", "compressed"),
        ("weights", size(original), size(compressed)),
        ("a copy laid out for this processor", interleaved(original), interleaved(compressed)),
        ("format", formats(original), formats(compressed)),
        ("perplexity", with_error(original.metrics["perplexity"], 2), with_error(compressed.metrics["perplexity"], 2)),
        ("bits per byte", with_error(original.metrics.get("bits_per_byte"), 4),
         with_error(compressed.metrics.get("bits_per_byte"), 4)),
        ("KL to original (nat/token)", "0", with_error(compressed.metrics.get("kl"), 4)),
        ("same first choice", "100 %", "-" if "top1_agreement" not in compressed.metrics else
         f"{100 * compressed.metrics['top1_agreement']['value']:.1f} %"),
        (f"prefill, prompt of {prompt}", rate(original, "prefill_ms"), rate(compressed, "prefill_ms")),
        ("decode after it", rate(original, "tpot_ms"), rate(compressed, "tpot_ms")),
        ("peak memory", memory(original), memory(compressed)),
        ("checkpoint", original.checkpoint, compressed.checkpoint),
        ("eval and profile", str(original.folder), str(compressed.folder)),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    print()
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    print(f"\nPerplexity and KL: {windows['scored_tok']} tokens of {compressed.eval['text']['file']}, windows of "
          f"{windows['window_tok']}; ± is one standard error. Speed: this machine, {compressed.eval['device']['cpu']}, "
          f"{compressed.eval['device']['threads']} threads.")


main()
