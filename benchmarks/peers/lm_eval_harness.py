#!/usr/bin/env python3
"""`ecld-device eval --tasks` beside EleutherAI's lm-eval on this machine: the same checkpoint and documents, float32, the same
number of threads, runs in turn. lm-eval runs at the batch size at which it is fastest, which is tried first.

    .venv-slow/bin/python benchmarks/peers/lm_eval_harness.py --model DIR --data DIR --tasks piqa,hellaswag --limit 100

Needs what the slow oracles need (scripts/setup.sh --slow), whose reader of the real documents it shares. --data is the
folder that ECLD_TEST_DATA names in the tests. Ours is timed as a program, start and loading included; of lm-eval only the
evaluation, with its model loaded. Wants a quiet machine. Seconds; the ratio is lm-eval's time over ours, the median of the
pairs, and the smallest and largest in brackets."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "oracle"))


def our_time(options, files, task):
    begin = time.monotonic()
    subprocess.run([options.build / "ecld-device", "eval", options.model, "--tasks", task, "--data", files.ours, "--limit",
                    str(options.limit), "--threads", str(options.threads), "--bootstrap", "0", "-q", "--json", os.devnull],
                   check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


class Peer:
    def __init__(self, options, files):
        import datasets
        import torch
        from lm_eval.models.huggingface import HFLM
        torch.set_num_threads(options.threads)
        self.limit, self.files = options.limit, files
        self.load = datasets.load_dataset
        self.model = HFLM(pretrained=str(options.model), device="cpu", dtype="float32", batch_size=1)

    def time(self, task, batch):
        import datasets
        import lm_eval
        splits = self.files.tasks[task]
        splits = {"train": next(iter(splits.values()))} | splits  # it opens the training set whether it needs it or not
        datasets.load_dataset = lambda *_, **__: self.load("json", data_files=splits)
        self.model.batch_size_per_gpu = batch
        begin = time.monotonic()
        lm_eval.simple_evaluate(model=self.model, tasks=[task], limit=self.limit or None, bootstrap_iters=0)
        return time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True, help="checkpoint directory")
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--tasks", default="arc_easy,arc_challenge,hellaswag,piqa")
    parser.add_argument("--limit", type=int, default=100, help="documents of each task; 0: all")
    parser.add_argument("--batches", default="1,8,32", help="batch sizes that lm-eval may choose from")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="of both")
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/dev"), help="our programs")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures there")
    options = parser.parse_args()

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(ECLD_TEST_DATA=str(options.data), HF_HUB_OFFLINE="1", HF_DATASETS_CACHE=f"{folder}/cache",
                          DISABLE_MULTIPROC="1")
        import lm_eval_tasks_slow_oracle
        files = lm_eval_tasks_slow_oracle.Files(pathlib.Path(folder))
        files.make()
        peer = Peer(options, files)
        for task in options.tasks.split(","):
            tried = {batch: peer.time(task, batch) for batch in map(int, options.batches.split(","))}
            batch = min(tried, key=tried.get)
            pairs = []
            for turn in range(options.pairs):
                pair = {}
                for name in ("ours", "peer") if turn % 2 == 0 else ("peer", "ours"):
                    pair[name] = our_time(options, files, task) if name == "ours" else peer.time(task, batch)
                pairs.append(pair)
            ratios = [pair["peer"] / pair["ours"] for pair in pairs]
            rows.append({"task": task, "documents": options.limit, "lm_eval_batch": batch, "pairs": pairs})
            print(f"{task}: ours {statistics.median(pair['ours'] for pair in pairs):.2f} s, lm-eval (batch {batch}) "
                  f"{statistics.median(pair['peer'] for pair in pairs):.2f} s, ratio {statistics.median(ratios):.2f} "
                  f"({min(ratios):.2f} to {max(ratios):.2f})", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"schema": "ecld.peer", "version": 1, "peer": "lm-eval", "unit": "s",
                                            "threads": options.threads, "rows": rows}, indent=2) + "\n")


main()
