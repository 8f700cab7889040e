#!/usr/bin/env python3
"""Quantizes a checkpoint with llm-compressor, in the environment of scripts/setup.sh --slow; run by peers.py.

    llm_compressor.py RTN|GPTQ|AWQ|AutoRound <checkpoint> <out> <windows.json>

4 bits, asymmetric, groups of 64: its groups must divide 576, which 128 does not. Embedding and head stay as they are,
its default. AutoRound takes its light setting, 50 steps a block at a rate of 0.005; all else is each method's default.
"""
import json
import sys

import torch
from datasets import Dataset
from llmcompressor import oneshot
from transformers import AutoModelForCausalLM

GROUPS = {"group_0": {"targets": ["Linear"], "weights": {
    "num_bits": 4, "type": "int", "symmetric": False, "strategy": "group", "group_size": 64}}}
SCOPE = {"config_groups": GROUPS, "ignore": ["lm_head"]}


def recipe(method):
    from llmcompressor.modifiers.quantization import GPTQModifier, QuantizationModifier
    if method == "RTN":
        return [QuantizationModifier(**SCOPE)]
    if method == "GPTQ":
        return [GPTQModifier(**SCOPE)]
    if method == "AWQ":
        from llmcompressor.modifiers.transform.awq import AWQModifier
        if not torch.cuda.is_available():  # it pins memory all the same, which fails without a GPU
            torch.Tensor.pin_memory = lambda tensor: tensor
        return [AWQModifier(), QuantizationModifier(**SCOPE)]
    from llmcompressor.modifiers.autoround import AutoRoundModifier
    return [AutoRoundModifier(iters=50, lr=5e-3, enable_torch_compile=False, **SCOPE)]


def main():
    method, checkpoint, out, tokens = sys.argv[1:]
    with open(tokens) as file:
        windows = json.load(file)
    data = Dataset.from_dict({"input_ids": windows, "attention_mask": [[1] * len(window) for window in windows]})
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.bfloat16)
    calibration = {} if method == "RTN" else {
        "dataset": data, "num_calibration_samples": len(windows), "max_seq_length": len(windows[0])}
    oneshot(model=model, recipe=recipe(method), tokenizer=checkpoint, **calibration)
    model.save_pretrained(out, save_compressed=True)


if __name__ == "__main__":
    main()
