"""Perplexity, KL and top-1 agreement of `ecld-device eval` against transformers on the same windows, float32.

1. Tiny checkpoints of two families, with and without overlapping windows, against a second checkpoint as reference.
2. SmolLM2-135M-Instruct (tests/oracle/compare.py says where it is looked for), imported, on the start of WikiText-2
   validation of ECLD_TEST_DATA: perplexity agrees to 4 digits.
"""
import json
import math

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from compare import DATA, check, demo_gguf, main, near, run, skip, tiny_checkpoint, tool

TEXT = "Once upon a time there was a fox: it said \"naïve\" 12345 times, and went home by the river. " * 8


def windows(count, window, stride, most):
    """(begin, end, first scored position), as eval/windows.h defines them."""
    found = []
    for begin in range(0, count, stride):
        end = min(begin + window, count)
        first = max(1, window - stride) if begin else 1
        if end - begin > first:
            found.append((begin, end, first))
        if end == count or len(found) == most:
            break
    return found


def log_probabilities(directory, ids, parts):
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    rows, targets, lengths = [], [], []
    for begin, end, first in parts:
        part = torch.tensor(ids[begin:end])
        with torch.no_grad():
            logits = model(part[None]).logits[0]
        rows.append(torch.log_softmax(logits[first - 1:-1].double(), -1))
        targets.append(part[first:])
        lengths.append(end - begin - first)
    return torch.cat(rows), torch.cat(targets), lengths


def expected_scores(model, reference, text, window, stride, most):
    ids = AutoTokenizer.from_pretrained(model)(text)["input_ids"]
    parts = windows(len(ids), window, stride, most)
    q, targets, lengths = log_probabilities(model, ids, parts)
    p, _, _ = log_probabilities(reference, ids, parts)
    nll = -q[torch.arange(len(targets)), targets]
    clusters = torch.stack([part.sum() - nll.mean() * len(part) for part in nll.split(lengths)])
    error = math.sqrt(len(parts) / (len(parts) - 1) * (clusters ** 2).sum().item()) / len(nll)
    return {"scored_tok": len(nll), "perplexity": nll.mean().exp().item(), "perplexity_se": nll.mean().exp().item() * error,
            "reference_perplexity": (-p[torch.arange(len(targets)), targets]).mean().exp().item(),
            "kl": (p.exp() * (p - q)).sum(-1).mean().item(),
            "top1_agreement": (p.argmax(-1) == q.argmax(-1)).double().mean().item()}


def compare(name, directory, model, reference, text, window, stride, most=0):
    (directory / "text.txt").write_text(text, encoding="utf-8")
    command = [tool("ecld-device"), "eval", model, "--reference", reference, "--text", directory / "text.txt",
               "--window", window, "--stride", stride, "--json", directory / "eval.json"]
    run(*command, *(["--windows", most] if most else []))
    result = json.loads((directory / "eval.json").read_text())
    metrics = {metric["name"]: metric for metric in result["metrics"]}
    expected = expected_scores(model, reference, text, window, stride, most)
    scored = result["windows"]["scored_tok"]
    check(f"{name}: tokens scored", scored == expected["scored_tok"], f"{scored}, {expected['scored_tok']} expected")
    for key in ("perplexity", "reference_perplexity"):
        near(f"{name}: {key}", metrics[key]["value"] / expected[key], 1.0, 1e-5)
    near(f"{name}: its standard error", metrics["perplexity"]["se"] / expected["perplexity_se"], 1.0, 1e-4)
    near(f"{name}: KL", metrics["kl"]["value"], expected["kl"], 1e-6 + 1e-4 * expected["kl"])
    # A margin below float rounding may fall either way.
    near(f"{name}: top-1 agreement", metrics["top1_agreement"]["value"], expected["top1_agreement"], 1.5 / scored)


def body(directory):
    for family in ("llama", "qwen2"):
        model = tiny_checkpoint(directory / f"{family}-1", family=family, seed=1)
        reference = tiny_checkpoint(directory / f"{family}-2", family=family, seed=2)
        for stride in (64, 24):
            compare(f"{family}, stride {stride}", directory, model, reference, TEXT, 64, stride)
    if demo_gguf() and DATA and tool("gguf_import"):
        for dtype in ("BF16", "F32"):
            run(tool("gguf_import"), demo_gguf(), directory / dtype, dtype)
        text = (DATA / "data" / "wikitext2" / "tokenized_valid.txt").read_text(encoding="utf-8")[:20000]
        compare("SmolLM2", directory, directory / "BF16", directory / "F32", text, 512, 512, 4)
    else:
        skip("SmolLM2: no demo file, ECLD_TEST_DATA or gguf_import")


if __name__ == "__main__":
    main(body, "ecld-device")
