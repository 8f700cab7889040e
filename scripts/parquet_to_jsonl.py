#!/usr/bin/env python3
"""Converts data sets of the Hugging Face Hub for `ecld-device eval --tasks`, which reads JSON lines:

    parquet_to_jsonl.py ai2_arc/ARC-Easy/test-00000-of-00001.parquet data/arc_easy/test.jsonl
    parquet_to_jsonl.py hellaswag/validation/*.arrow data/hellaswag/validation.jsonl

A row becomes a line, columns keep their names; the rows of several files follow each other. The name to write is the last
one under `files` of the task. Reads Parquet and Arrow (stream or file). Needs pyarrow: pip install pyarrow.
"""
import json
import os
import sys


def rows(path):
    import pyarrow
    import pyarrow.parquet
    if path.endswith(".parquet"):
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches():
            yield from batch.to_pylist()
        return
    with pyarrow.memory_map(path) as source:
        try:
            reader = pyarrow.ipc.open_stream(source)
        except pyarrow.ArrowInvalid:
            file = pyarrow.ipc.open_file(source)
            reader = (file.get_batch(index) for index in range(file.num_record_batches))
        for batch in reader:
            yield from batch.to_pylist()


def main(arguments):
    if len(arguments) < 2 or arguments[0] in ("-h", "--help"):
        print(__doc__, file=sys.stderr)
        return 2
    *sources, target = arguments
    count = 0
    os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
    with open(target + ".tmp", "w", encoding="utf-8", newline="\n") as out:
        for source in sources:
            for row in rows(source):
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
    os.replace(target + ".tmp", target)
    print(f"{target}: {count} documents", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
