#!/usr/bin/env python3
"""Rope types against transformers in float32: logits of the runtime (whole text, and token by token over its cache) and
of the Torch blocks of model/, on a tiny checkpoint of every family, for texts within the original length and beyond it;
and which of two keys holds where a config has both."""

import json

import numpy as np

import compare

MAX_ABS = 1e-4
ORIGINAL_TOK, SHORT_TOK, LONG_TOK = 64, 40, 150
PAIRS = 8  # of a head

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": ORIGINAL_TOK}
LONGROPE = {"rope_type": "longrope", "short_factor": [1 + 0.25 * i for i in range(PAIRS)],
            "long_factor": [1.5 + 0.75 * i for i in range(PAIRS)], "original_max_position_embeddings": ORIGINAL_TOK}
DYNAMIC = {"max_position_embeddings": ORIGINAL_TOK, "rope_scaling": {"type": "dynamic", "factor": 4.0}}

# name -> keys of config.json, over those of a checkpoint without any for rope.
TYPES = {
    "default": {},
    "linear": {"rope_scaling": {"type": "linear", "factor": 2.5}},
    "llama3": {"rope_theta": 500000.0, "rope_scaling": {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": ORIGINAL_TOK}},
    "yarn": {"rope_scaling": YARN},
    "dynamic": DYNAMIC,
    "longrope": {"rope_scaling": LONGROPE},
}
# Tried with one family: the others read and compute them by the same code.
VARIANTS = {
    "yarn, bounds": {"rope_scaling": {**YARN, "beta_fast": 4, "beta_slow": 0.5}},
    "yarn, not truncated": {"rope_scaling": {**YARN, "beta_fast": 8, "truncate": False}},
    "yarn, bounds the wrong way round": {"rope_scaling": {**YARN, "beta_fast": 1, "beta_slow": 32}},
    "yarn, mscale": {"rope_scaling": {**YARN, "mscale": 1.0, "mscale_all_dim": 0.5}},
    "yarn, one mscale": {"rope_scaling": {**YARN, "mscale": 0.7}},
    "yarn, attention_factor": {"rope_scaling": {**YARN, "attention_factor": 1.3, "mscale": 2, "mscale_all_dim": 1}},
    "yarn, factor null": {"rope_scaling": {**YARN, "factor": None}},
    "yarn, factor 1": {"rope_scaling": {**YARN, "factor": 1}},
    "yarn, original length by default": {"rope_scaling": {"rope_type": "yarn", "factor": 4}},
    "yarn, original length beside": {"rope_scaling": {**YARN, "beta_fast": 2}, "original_max_position_embeddings": 256},
    "yarn, with theta": {"rope_parameters": {**YARN, "rope_theta": 500000.0}},
    "llama3, original length by default": {"rope_scaling": {
        "rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4}},
    "dynamic, theta beside": {**DYNAMIC, "rope_theta": 500000.0},
    "dynamic, whole factor": {"max_position_embeddings": ORIGINAL_TOK, "rope_scaling": {"type": "dynamic", "factor": 3}},
    "longrope, factor": {"rope_scaling": {**LONGROPE, "factor": 4.0}},
    "longrope, attention_factor": {"rope_scaling": {**LONGROPE, "attention_factor": 1.1}},
    "both, theta in the one that is not looked at": {
        "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}, "rope_scaling": YARN},
    "both, theta beside": {"rope_theta": 70000.0, "rope_scaling": YARN,
                           "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}},
    "both, one empty": {"rope_parameters": {**YARN, "rope_theta": 20000.0}, "rope_scaling": {}},
    "both, one null": {"rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}, "rope_scaling": None},
    "theta inside and beside": {"rope_theta": 20000.0, "rope_scaling": {
        "rope_type": "linear", "factor": 2, "rope_theta": 500000.0}},
    "theta of rope_parameters and beside": {"rope_theta": 20000.0, "rope_parameters": {
        "rope_type": "default", "rope_theta": 500000.0}},
    "rope_type and type": {"rope_scaling": {**YARN, "type": "linear"}},
    "fields of another type": {"rope_scaling": {"rope_type": "linear", "factor": 2, "beta_fast": 2,
                                                "attention_factor": 3.0, "original_max_position_embeddings": 8}},
    "a factor without a type": {"rope_scaling": {"factor": 8.0}},
}
FAMILIES = ("llama", "qwen2", "qwen3", "mistral")


def decode(model, ids):
    """Logits token by token, keys and values kept, as generate() runs."""
    import torch
    logits, cache = [], None
    with torch.no_grad():
        for token in ids:
            out = model(torch.tensor([[token]]), past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            logits.append(out.logits[0, -1].float().numpy())
    return np.stack(logits)


def compare_type(name, directory, config, keys, lengths, decode_tok):
    (directory / "config.json").write_text(json.dumps({**config, **keys}))
    model = compare.reference(directory)
    ids = np.random.default_rng(7).integers(0, model.config.vocab_size, LONG_TOK).tolist()
    if decode_tok:
        compare.near(f"{name}: {decode_tok} tokens one by one",
                     compare.our_logits("dump_logits", directory, ids[:decode_tok], "--decode"),
                     decode(model, ids[:decode_tok]), MAX_ABS)
    for length in lengths:  # the shortest first: transformers forgets then what a longer text left behind
        text = ids[:length]
        expected = compare.reference_logits(model, text)
        compare.near(f"{name}: runtime, {length} tokens", compare.our_logits("dump_logits", directory, text), expected,
                     MAX_ABS)
        if compare.tool("dump_logits_torch"):
            compare.near(f"{name}: model, {length} tokens", compare.our_logits("dump_logits_torch", directory, text),
                         expected, MAX_ABS)
    if not compare.tool("dump_logits_torch"):
        compare.skip(f"{name}: model: dump_logits_torch is not built")


def body(folder):
    for family in FAMILIES:
        directory = compare.tiny_checkpoint(folder / family, family=family)
        config = json.loads((directory / "config.json").read_text())
        del config["rope_theta"], config["rope_scaling"]
        for name, keys in TYPES.items():
            compare_type(f"{family} {name}", directory, config, keys, (SHORT_TOK, LONG_TOK),
                         80 if name in ("dynamic", "longrope") else 0)
        if family == "llama":
            for name, keys in VARIANTS.items():
                compare_type(name, directory, config, keys, (LONG_TOK,), 0)


if __name__ == "__main__":
    compare.main(body, "tiny_checkpoint", "dump_logits")
