"""The statistics of `ecld-device eval --tasks` against scikit-learn, SciPy and NumPy, recomputed from its per-sample log:
aggregates of token uncertainty's figures (AUROC, Spearman, calibration error, risk-coverage), the interval of every bin, and
the paired test of two models.
"""
import json

import numpy as np

import compare

ITEMS = 300
AGGREGATES = ("mean", "max", "first", "last", "p90")


def evaluate(folder):
    """The result and the logs of two tiny models on made-up questions."""
    models = [compare.tiny_checkpoint(folder / name, seed=seed) for name, seed in (("model", 1), ("other", 2))]
    (folder / "data").mkdir()
    lines = [{"q": f"question {i * i}", "a": f"one {i}", "b": f"two {i % 7}", "c": "none of them", "gold": i % 3}
             for i in range(ITEMS)]
    (folder / "data/set.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "pick.yaml").write_text('task: pick\ndata: {files: [set.jsonl]}\ntext: "{{ q }}:"\n'
                                      'choices: ["{{ a }}", "{{ b }}", "{{ c }}"]\ngold: "{{ gold }}"\nmetrics: [acc]\n')
    compare.run(compare.tool("ecld-device"), "eval", models[0], "--reference", models[1], "--tasks", folder / "pick.yaml",
                "--data", folder / "data", "--samples", folder / "log", "--json", folder / "result.json")
    logs = [[json.loads(line) for line in (folder / path).read_text().splitlines()[1:]]
            for path in ("log/pick.jsonl", "log/reference/pick.jsonl")]
    return json.loads((folder / "result.json").read_text())["tasks"][0], *logs


def calibration_error(unsure, right, bins=10):
    of = np.minimum((unsure * bins).astype(int), bins - 1)
    return sum((of == b).mean() * abs(right[of == b].mean() - (1 - unsure[of == b]).mean())
               for b in range(bins) if (of == b).any())


def area_under_risk_coverage(unsure, right):
    """Mean risk over the answers, surest first, of all that are at least as sure."""
    return np.mean([1 - right[unsure <= value].mean() for value in unsure])


def main(folder):
    try:
        import scipy.stats
        import sklearn.metrics
    except ImportError:
        return compare.skip("SciPy and scikit-learn are not installed (scripts/setup.sh --slow)")
    task, now, before = evaluate(folder)
    right = np.array([sample["values"]["acc"] for sample in now])
    was_right = np.array([sample["values"]["acc"] for sample in before])
    for aggregate in AGGREGATES:
        unsure = np.array([sample["uncertainty"][aggregate] for sample in now])
        found = task["uncertainty"]["aggregates"][aggregate]
        compare.near(f"{aggregate}: AUROC", found["auroc"], sklearn.metrics.roc_auc_score(right == 0, unsure), 1e-12)
        compare.near(f"{aggregate}: Spearman", found["spearman"], scipy.stats.spearmanr(unsure, right)[0], 1e-12)
        compare.near(f"{aggregate}: calibration error", found["ece"], calibration_error(unsure, right), 1e-12)
        compare.near(f"{aggregate}: area under risk-coverage", found["aurc"], area_under_risk_coverage(unsure, right), 1e-12)
        for bin_ in found["bins"]:
            interval = scipy.stats.binomtest(round(bin_["accuracy"] * bin_["n"]), bin_["n"]).proportion_ci(method="wilson")
            compare.near(f"{aggregate}: interval of bin {bin_['low']:.1f}", bin_["ci95"], [interval.low, interval.high], 1e-9)
        for coverage, accuracy, threshold in found["risk_coverage"]:
            kept = unsure <= threshold
            if not (abs(kept.mean() - coverage) < 1e-12 and abs(right[kept].mean() - accuracy) < 1e-12):
                compare.check(f"{aggregate}: risk-coverage at {threshold}", False, f"{kept.mean()} {right[kept].mean()}")
        for entry in found["offload_thresholds"]:
            accuracies = [right[unsure <= value].mean() for value in unsure]
            reached = [value for value, accuracy in zip(unsure, accuracies) if accuracy >= entry["accuracy"]]
            compare.check(f"{aggregate}: threshold for {entry['accuracy']}",
                          entry["threshold"] == (max(reached) if reached else None), str(entry["threshold"]))
    paired = task["against_reference"]
    new, fixed = int(((was_right == 1) & (right == 0)).sum()), int(((was_right == 0) & (right == 1)).sum())
    compare.check("new and fixed errors", (paired["new_errors"], paired["fixed_errors"]) == (new, fixed), f"{new} {fixed}")
    compare.near("McNemar", paired["p"], scipy.stats.binomtest(new, new + fixed).pvalue, 1e-9)
    compare.near("paired error", paired["se"], (right - was_right).std(ddof=1) / np.sqrt(ITEMS), 1e-12)
    compare.near("error of acc", task["metrics"][0]["se"], scipy.stats.sem(right), 1e-12)


if __name__ == "__main__":
    compare.main(main, "ecld-device", "tiny_checkpoint")
