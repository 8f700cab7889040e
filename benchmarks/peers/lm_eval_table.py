#!/usr/bin/env python3
"""The full table of `ecld-device eval --tasks` beside EleutherAI's lm-eval: one checkpoint, the same documents, float32,
every task whose documents are in the test data. Of each metric both values; of the documents, the largest difference of a
sum of log-probabilities and every one that is scored otherwise, with how far its two best answers lie apart.

    .venv-slow/bin/python benchmarks/peers/lm_eval_table.py --model DIR --data DIR --work DIR --limit 200

Needs what the slow oracles need (scripts/setup.sh --slow); tests/oracle/lm_eval_tasks_slow_oracle.py compares fewer
documents in the tests, and says which of them are made from others. --data is the folder that ECLD_TEST_DATA names there.
A task that is in --work already is not run again, so that tasks may have limits of their own; the table is of all that are
there. lm-eval runs one text at a time: its sums differ between batch sizes."""
import argparse
import json
import os
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "oracle"))


def apart(values):
    """By how much the best of several sums of log-probabilities lies above the second."""
    best = sorted(values, reverse=True)
    return best[0] - best[1] if len(best) > 1 else None


def row_of(task, lined_up, documents):
    sums, texts, scores, aggregates = lined_up
    answers = {item: values for item, values, _ in sums}
    differ = [{"item": item, "metric": metric, "lm_eval": their, "ours": our, "apart_nats": apart(answers.get(item, []))}
              for item, metric, their, our in scores if abs(their - our) > 1e-4]
    return {"task": task, "documents": documents,
            "metrics": [{"name": name, "lm_eval": their, "ours": our["value"], "se": our["se"]}
                        for name, their, _, our in aggregates],
            "max_difference_nats": max((abs(a - b) for _, one, other in sums for a, b in zip(one, other)), default=None),
            "max_relative": max((abs(a / b - 1) for _, one, other in sums for a, b in zip(one, other)), default=None),
            "other_texts": [item for item, their, our in texts if their != our], "differ": differ}


def joined(rows):
    """The subjects of MMLU as one row, each weighed by its documents as lm-eval does."""
    subjects = [row for row in rows if row["task"].startswith("mmlu_")]
    rows = [row for row in rows if row not in subjects]
    if subjects:
        documents = sum(row["documents"] for row in subjects)

        def mean(key):
            return sum(row["documents"] * row["metrics"][0][key] for row in subjects) / documents
        rows.append({"task": f"mmlu ({len(subjects)} subjects, validation)", "documents": documents,
                     "metrics": [{"name": "acc", "lm_eval": mean("lm_eval"), "ours": mean("ours"), "se": None}],
                     "max_difference_nats": max(row["max_difference_nats"] for row in subjects),
                     "max_relative": max(row["max_relative"] for row in subjects), "other_texts": [],
                     "differ": [found | {"item": f"{row['task']}/{found['item']}"}
                                for row in subjects for found in row["differ"]]})
    return rows


def markdown(rows):
    lines = ["| task | documents | metric | ours | lm-eval | documents scored otherwise | largest difference of a sum |",
             "|---|---|---|---|---|---|---|"]
    for row in joined(rows):
        largest = row["max_difference_nats"]
        for metric in row["metrics"]:
            otherwise = [found for found in row["differ"] if found["metric"] == metric["name"]]
            named = ", ".join(f"{found['item']}" + (f" ({found['apart_nats']:.1e} nats apart)" if found["apart_nats"] else "")
                              for found in otherwise)
            error = f" ± {metric['se']:.4f}" if metric["se"] is not None else ""
            lines.append(f"| {row['task']} | {row['documents']} | {metric['name']} | {metric['ours']:.6g}{error} | "
                         f"{metric['lm_eval']:.6g} | {len(otherwise)}{': ' + named if named else ''} | " +
                         (f"{largest:.1e} nats, {row['max_relative']:.0e} of it" if largest is not None else
                          f"other texts: {row['other_texts'] or 'none'}") + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True, help="checkpoint directory")
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True, help="results, one file for each task, and table.md")
    parser.add_argument("--tasks", help="separated by commas (default: all)")
    parser.add_argument("--limit", type=int, default=0, help="documents of each task; 0: all")
    parser.add_argument("--pages", type=int, default=8, help="whole articles of WikiText")
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/dev"), help="our programs")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        folder = pathlib.Path(folder)
        os.environ.update(ECLD_TEST_DATA=str(options.data), ECLD_BIN_DIR=str(options.build), HF_HUB_OFFLINE="1",
                          HF_DATASETS_CACHE=str(folder / "cache"), DISABLE_MULTIPROC="1")
        import lm_eval_tasks_slow_oracle as oracle
        subjects = sorted(path.name for path in (options.data / "data/mmlu").iterdir() if path.is_dir())
        files = oracle.Files(folder, subjects=subjects, pages=options.pages, page_characters=None)
        files.make()
        wanted = options.tasks.split(",") if options.tasks else list(files.tasks)
        for name in set(wanted) - set(files.tasks):
            parser.error(f"--tasks: no documents of {name}; there are those of {', '.join(files.tasks)}")
        wanted = [task for task in wanted if not (options.work / f"{task}.json").exists()]
        peer = oracle.Peer(options.model) if wanted else None
        for task in wanted:
            begin = time.monotonic()
            theirs = oracle.theirs(peer, files, task, options.limit)
            row = row_of(task, oracle.line_up(task, theirs, oracle.ours(options.model, files, folder, task, options.limit)),
                         len(theirs[0]))
            part = options.work / f"{task}.part"
            part.write_text(json.dumps(row, indent=1))
            part.rename(options.work / f"{task}.json")
            print(f"{task}: {row['documents']} documents in {time.monotonic() - begin:.0f} s, {len(row['differ'])} scores "
                  "differ", file=sys.stderr, flush=True)
        order = {task: place for place, task in enumerate(files.tasks)}
    rows = [json.loads(path.read_text()) for path in options.work.glob("*.json")]
    table = markdown(sorted(rows, key=lambda row: order[row["task"]]))
    (options.work / "table.md").write_text(table)
    print(table, end="")


if __name__ == "__main__":
    main()
