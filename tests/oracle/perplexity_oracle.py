#!/usr/bin/env python3
"""Perplexity of `ecld-device eval` against transformers on the same windows of the same text, to four digits: the
windows, the tokenizer, the logits and the averaging together."""
import json
import math
import pathlib
import tempfile

import compare

WINDOW_TOK = 512
WINDOWS = 6
RELATIVE = 5e-5  # four digits


def ours(directory, text, reference=None):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "eval.json"
        compare.run(compare.tool("ecld-device"), "eval", directory, "--text", text, "--window", WINDOW_TOK, "--windows",
                    WINDOWS, "--json", out, *(["--reference", reference] if reference else []))
        result = json.loads(out.read_text())
    return result["windows"], {metric["name"]: metric["value"] for metric in result["metrics"]}


def theirs(directory, text):
    """Sum of the negative log-likelihoods of every token of a window but its first, and their number."""
    import torch
    import transformers
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    ids = tokenizer(pathlib.Path(text).read_bytes().decode())["input_ids"]
    model = compare.reference(directory)
    nll, count = 0.0, 0
    for begin in range(0, WINDOWS * WINDOW_TOK, WINDOW_TOK):
        window = ids[begin:begin + WINDOW_TOK]
        logits = torch.from_numpy(compare.reference_logits(model, window)).double()
        picked = torch.log_softmax(logits[:-1], -1).gather(1, torch.tensor(window[1:])[:, None])
        nll, count = nll - picked.sum().item(), count + len(window) - 1
    return math.exp(nll / count), count, len(ids)


def main():
    demo = compare.demo_checkpoint()
    if not compare.DATA or not demo or not compare.tool("ecld-device"):
        compare.skip("perplexity: needs ECLD_TEST_DATA, the demo model and ecld-device")
        compare.finish()
    text = compare.DATA / "data" / "wikitext2" / "tokenized_valid.txt"
    windows, metrics = ours(demo, text, demo)
    expected, count, text_tok = theirs(demo, text)
    compare.check("tokens of the text", windows["text_tok"] == text_tok, f"{windows['text_tok']} and {text_tok}")
    compare.check("scored tokens", windows["scored_tok"] == count, f"{windows['scored_tok']} and {count}")
    compare.near(f"WikiText-2 perplexity ({metrics['perplexity']:.5f} and {expected:.5f}), relative",
                 metrics["perplexity"] / expected, 1, RELATIVE)
    compare.near("KL of the model to itself", metrics["kl"], 0, 1e-9)
    compare.finish()


main()
