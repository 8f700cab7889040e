#!/usr/bin/env python3
"""Quantizes a checkpoint with llm-compressor or AutoRound, in the environment of scripts/setup.sh --slow; for peers.py.

    llm_compressor.py RTN|GPTQ|AWQ|AutoRound <checkpoint> <out> <windows.json>

4 bits in groups of 64: its groups must divide 576, which 128 does not. Embedding and head stay as they are, the default
of both. Asymmetric; AutoRound symmetric, its default, which alone it can pack as compressed-tensors (0.15), and at its
light setting, 50 steps a block at a rate of 0.005. All else is each method's default.
"""
import json
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

GROUPS = {"group_0": {"targets": ["Linear"], "weights": {
    "num_bits": 4, "type": "int", "symmetric": False, "strategy": "group", "group_size": 64}}}
SCOPE = {"config_groups": GROUPS, "ignore": ["lm_head"]}


def recipe(method):
    from llmcompressor.modifiers.quantization import GPTQModifier, QuantizationModifier
    if method == "RTN":
        return [QuantizationModifier(**SCOPE)]
    if method == "GPTQ":
        return [GPTQModifier(**SCOPE)]
    from llmcompressor.modifiers.transform.awq import AWQModifier
    if not torch.cuda.is_available():  # it pins memory all the same, which fails without a GPU
        torch.Tensor.pin_memory = lambda tensor: tensor
    return [AWQModifier(), QuantizationModifier(**SCOPE)]


def llm_compressor(method, model, checkpoint, out, windows):
    from datasets import Dataset
    from llmcompressor import oneshot
    data = Dataset.from_dict({"input_ids": windows, "attention_mask": [[1] * len(window) for window in windows]})
    calibration = {} if method == "RTN" else {
        "dataset": data, "num_calibration_samples": len(windows), "max_seq_length": len(windows[0])}
    oneshot(model=model, recipe=recipe(method), tokenizer=checkpoint, **calibration)
    model.save_pretrained(out, save_compressed=True)


def auto_round(model, checkpoint, out, windows):
    """By its own program: llm-compressor's modifier of that name takes over its scales, not its zero points (0.14)."""
    from auto_round import AutoRound
    rows = torch.tensor(windows).unsqueeze(1)
    tuner = AutoRound(model, AutoTokenizer.from_pretrained(checkpoint), scheme="W4A16", group_size=64, iters=50,
                      lr=5e-3, nsamples=len(rows), seqlen=rows.shape[2], enable_torch_compile=False,
                      dataset=[{"input_ids": row, "attention_mask": torch.ones_like(row)} for row in rows])
    tuner.quantize_and_save(str(out), format="llm_compressor")
    (written,) = {path.parent for path in out.glob("*/config.json")}
    for path in written.iterdir():
        path.rename(out / path.name)


def main():
    method, checkpoint, out, tokens = sys.argv[1:]
    with open(tokens) as file:
        windows = json.load(file)
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.bfloat16)
    if method == "AutoRound":
        auto_round(model, checkpoint, pathlib.Path(out), windows)
    else:
        llm_compressor(method, model, checkpoint, out, windows)


if __name__ == "__main__":
    main()
