#!/usr/bin/env python3
"""Whether two builds of ecld do the same: weights, configs, reports without what was measured, messages, and the words
on every pass.

    same_bytes.py OLD/ecld NEW/ecld --model DIR [DIR...] --calibration text.txt --work DIR [--recipes FILE...]

Recipes: those that are shipped, and every_pass/ with the passes and options that these leave out. What the first
program made is kept in the work folder and taken from there the next time. Ends with 1, naming what differs.
"""
import argparse
import hashlib
import json
import math
import pathlib
import re
import shutil
import subprocess

HERE = pathlib.Path(__file__).parent
RECIPES = sorted((HERE.parents[1] / "recipes").glob("*.yaml")) + sorted((HERE / "every_pass").glob("*.yaml"))
MEASURED = {"time_s", "peak_memory_B", "directory"}


def without_measured(value):
    if isinstance(value, dict):
        return {key: without_measured(part) for key, part in value.items() if key not in MEASURED}
    return [without_measured(part) for part in value] if isinstance(value, list) else value


def messages(text):
    """Log lines without times and memory."""
    lines = re.sub(r"^[\d:]+ | in [\d.]+ (s|min|h)\b.*?(?=,|$)|, peak memory .*", "", text, flags=re.M).splitlines()
    return [line for line in lines if "% " not in line and "left" not in line]  # progress comes by the clock


def result_of(program, recipe, model, calibration, out):
    shutil.rmtree(out, ignore_errors=True)
    command = [program, "compress", recipe, "--model", model, "--out", out, "--calibration", calibration]
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    found = {"status": run.returncode, "messages": messages(run.stderr.replace(str(out), "OUT"))}
    if run.returncode == 0:
        found["report"] = without_measured(json.loads((out / "report.json").read_text()))
        found["sha256"] = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(out.iterdir())
                           if file.is_file() and file.name != "report.json"}
    shutil.rmtree(out, ignore_errors=True)
    return found


def words_on_passes(program):
    names = subprocess.run([program, "passes"], capture_output=True, text=True, check=True).stdout
    said = [subprocess.run([program, "passes", line.split()[0]], capture_output=True, text=True, check=True).stdout
            for line in names.splitlines()]
    return {"all": names, "each": said}


def differences(old, new, path=""):
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from differences(old.get(key), new.get(key), f"{path}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new)):
            yield from differences(*pair, f"{path}[{index}]")
    elif isinstance(old, float) and isinstance(new, float) and math.isclose(old, new, rel_tol=1e-12):
        return  # Torch's sums of doubles depend on where in memory their terms lie
    elif old != new:
        yield f"{path}: {old} and {new}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("old", "new"):
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path, nargs="+", required=True)
    for name in ("calibration", "work"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--recipes", type=pathlib.Path, nargs="+", default=RECIPES)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    found = list(differences(words_on_passes(arguments.old), words_on_passes(arguments.new), "passes"))
    for model in arguments.model:
        for recipe in arguments.recipes:
            name = f"{model.name}-{recipe.stem}"
            results = []
            for program, turn in ((arguments.old, "old"), (arguments.new, "new")):
                kept = arguments.work / f"{name}-{turn}.json"
                if turn == "new" or not kept.exists():
                    made = result_of(program, recipe, model, arguments.calibration, arguments.work / "out")
                    kept.write_text(json.dumps(made, indent=1))
                results.append(json.loads(kept.read_text()))
            differ = list(differences(*results, name))
            print(f"{name}: {'differs' if differ else 'the same'} (status {results[0]['status']})", flush=True)
            found += differ
    print("\n".join(found))
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    main()
