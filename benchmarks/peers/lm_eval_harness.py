#!/usr/bin/env python3
"""`ecld-device eval --tasks` beside EleutherAI's lm-eval on this machine: the same checkpoint and documents, float32, the same
number of threads, runs in turn. lm-eval runs at the batch size at which it is fastest, which is tried first.

    .venv-slow/bin/python benchmarks/peers/lm_eval_harness.py --model DIR --data DIR --tasks piqa,mmlu_anatomy --limit 100

Needs what the slow oracles need (scripts/setup.sh --slow), whose reader of the real documents it shares. --data is the
folder that ECLD_TEST_DATA names in the tests. Ours is timed as a program, start, loading and prompts included; of lm-eval
only what its model takes to answer the requests, so that a few documents tell. Wants a quiet machine. Seconds; the ratio
is lm-eval's time over ours, the median of the pairs, and the smallest and largest in brackets."""
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


class TimedPeer:
    """Seconds that lm-eval's model takes to answer requests."""

    def __init__(self, peer):
        self.peer, self.seconds = peer, 0
        for name in ("loglikelihood", "loglikelihood_rolling", "generate_until"):
            setattr(peer.lm, name, self.timed(getattr(peer.lm, name)))

    def timed(self, method):
        def call(*arguments, **named):
            begin = time.monotonic()
            try:
                return method(*arguments, **named)
            finally:
                self.seconds += time.monotonic() - begin
        return call

    def time(self, options, files, task, batch):
        self.peer.lm.batch_size_per_gpu, self.seconds = batch, 0
        self.peer.evaluate(task, files.tasks[task], options.limit)
        return self.seconds


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
        import torch
        import lm_eval_tasks_slow_oracle as oracle
        torch.set_num_threads(options.threads)
        files = oracle.Files(pathlib.Path(folder))
        files.make()
        peer = TimedPeer(oracle.Peer(options.model))
        for task in options.tasks.split(","):
            ours = oracle.our_task(task, pathlib.Path(folder))
            batches = list(map(int, options.batches.split(",")))
            tried = {batch: peer.time(options, files, task, batch) for batch in batches} if batches[1:] else {}
            batch = min(batches, key=tried.get) if tried else batches[0]
            pairs = []
            for turn in range(options.pairs):
                pair = {}
                for name in ("ours", "peer") if turn % 2 == 0 else ("peer", "ours"):
                    pair[name] = (our_time(options, files, ours) if name == "ours" else
                                  peer.time(options, files, task, batch))
                pairs.append(pair)
            ratios = [pair["peer"] / pair["ours"] for pair in pairs]
            rows.append({"task": task, "documents": options.limit, "lm_eval_batch": batch, "pairs": pairs})
            print(f"{task}: ours {statistics.median(pair['ours'] for pair in pairs):.2f} s, lm-eval (batch {batch}) "
                  f"{statistics.median(pair['peer'] for pair in pairs):.2f} s, ratio {statistics.median(ratios):.2f} "
                  f"({min(ratios):.2f} to {max(ratios):.2f})", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"schema": "ecld.peer", "schema_version": "1.0.0", "peer": "lm-eval", "unit": "s",
                                            "threads": options.threads, "rows": rows}, indent=2) + "\n")


main()
