#!/usr/bin/env python3
"""distill.logits beside a plain PyTorch loop over transformers' model: runs in turn.

    torch_distill.py run --model student --teacher dense --text text.txt --work DIR [--pairs 3]

The loop is what one would write first and fast: attention by sdpa, a live teacher, forward KL over the whole
vocabulary, fused AdamW; once in float32 and once under bfloat16 autocast, of which the faster counts. Windows of 512
tokens, four at a time, a step for each four, of the same text. Prints, and writes to DIR/torch_distill.json: tokens per
second of the steps alone (neither loading nor judging), and peak resident memory of each whole program.
"""
import argparse
import csv
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

WINDOW, BATCH = 512, 4
RECIPE = """version: 1
name: torch_distill
teacher: {teacher}
calibration: {{windows: {windows}, window_tok: {window}, choice: even}}
stages:
  - {{pass: distill.logits, batch_windows: {batch}, evaluations: 1, held_out_texts: [{text}], held_out_windows: 1,
     curve: {curve}}}
"""


def peer(arguments):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    load = dict(dtype=torch.float32, attn_implementation="sdpa")
    student = AutoModelForCausalLM.from_pretrained(arguments.model, **load).train()
    teacher = AutoModelForCausalLM.from_pretrained(arguments.teacher, **load).eval()
    text = arguments.text.read_text()[:20 * arguments.windows * WINDOW]
    ids = AutoTokenizer.from_pretrained(arguments.model)(text, return_tensors="pt").input_ids[0]
    ids = ids[:arguments.windows * WINDOW].view(-1, WINDOW)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-5, fused=True)
    start = time.monotonic()
    for batch in ids.split(BATCH):
        with torch.autocast("cpu", torch.bfloat16, enabled=arguments.dtype == "bf16"):
            with torch.no_grad():
                wanted = teacher(batch).logits
            found = student(batch).logits
        loss = torch.nn.functional.kl_div(found.float().log_softmax(-1), wanted.float().log_softmax(-1),
                                          log_target=True, reduction="sum") / batch.numel()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    print(json.dumps({"tok_per_s": ids.numel() / (time.monotonic() - start)}))


def measured(command):
    """What a whole process printed, and its peak resident bytes."""
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    printed = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{command[0]} ended with status {os.waitstatus_to_exitcode(status)}")
    return printed, usage.ru_maxrss * 1024


def run_ours(arguments):
    curve, recipe = arguments.work / "curve.csv", arguments.work / "recipe.yaml"
    recipe.write_text(RECIPE.format(teacher=arguments.teacher.resolve(), windows=arguments.windows, window=WINDOW,
                                    batch=BATCH, text=arguments.text.resolve(), curve=curve.resolve()))
    _, peak_B = measured([arguments.ecld, "compress", recipe, "--model", arguments.model, "--calibration",
                          arguments.text, "--out", arguments.work / "out", "--overwrite"])
    with open(curve) as file:
        last = list(csv.DictReader(file))[-1]
    return {"tok_per_s": float(last["tokens"]) / float(last["seconds"]), "peak_B": peak_B}


def run_peer(arguments, dtype):
    printed, peak_B = measured([arguments.python, __file__, "peer", "--model", arguments.model, "--teacher",
                                arguments.teacher, "--text", arguments.text, "--windows", arguments.windows,
                                "--dtype", dtype])
    return {**json.loads(printed), "peak_B": peak_B}


def run(arguments):
    arguments.work.mkdir(parents=True, exist_ok=True)
    programs = {"ecld": lambda: run_ours(arguments), "float32": lambda: run_peer(arguments, "fp32"),
                "bfloat16": lambda: run_peer(arguments, "bf16")}
    runs = {name: [] for name in programs}
    for pair in range(arguments.pairs):
        for name in programs if pair % 2 == 0 else reversed(programs):
            runs[name].append(programs[name]())
            print(f"{name}: {runs[name][-1]['tok_per_s']:.1f} tokens/s, {runs[name][-1]['peak_B'] / 1e9:.2f} GB", flush=True)
    medians = {name: {key: statistics.median(one[key] for one in of) for key in ("tok_per_s", "peak_B")}
               for name, of in runs.items()}
    best = max(("float32", "bfloat16"), key=lambda name: medians[name]["tok_per_s"])
    ratio = medians["ecld"]["tok_per_s"] / medians[best]["tok_per_s"]
    (arguments.work / "torch_distill.json").write_text(json.dumps({"runs": runs, "medians": medians, "best": best,
                                                                   "ours_to_peer": ratio}, indent=1))
    print(f"ecld to PyTorch in {best}: {ratio:.2f} times the tokens per second, "
          f"{medians['ecld']['peak_B'] / medians[best]['peak_B']:.2f} of its peak memory")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "peer"))
    for name in ("model", "teacher", "text"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--dtype", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--ecld", default="build/release/ecld")
    parser.add_argument("--python", default=sys.executable, help="one that has torch and transformers")
    arguments = parser.parse_args()
    if arguments.what == "peer":
        peer(arguments)
    elif not arguments.work:
        parser.error("run needs --work")
    else:
        run(arguments)


if __name__ == "__main__":
    main()
