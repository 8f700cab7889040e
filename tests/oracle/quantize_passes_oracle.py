#!/usr/bin/env python3
"""What the calibrated quantization passes write is standard. A scaled or rotated checkpoint, loaded by transformers,
computes the logits of the original; what quantize.gptq packed computes there what it computes here.
"""

import numpy as np

import compare

FAMILIES = {"llama bias": {"bias": True}, "qwen2 tied": {"family": "qwen2", "tied": True},
            "qwen3": {"family": "qwen3", "head_dim": 32}, "mistral": {"family": "mistral", "sliding_window": 16},
            "gemma3": {"family": "gemma3_text", "tied": True, "head_dim": 32}}


def compress(source, out, text, stages):
    recipe = out.with_suffix(".yaml")
    recipe.write_text("version: 1\nname: oracle\ncalibration: {windows: 8, window_tok: 64}\nstages:\n"
                      + "".join(f"  - {stage}\n" for stage in stages))
    compare.run(compare.tool("ecld"), "compress", recipe, "--model", source, "--out", out, "--calibration", text)
    return out


def tiny(work):
    text = work / "text"
    generator = np.random.default_rng(0)
    text.write_bytes(bytes(generator.integers(97, 123, 4000, dtype=np.uint8)))
    ids = generator.integers(3, 280, 50).tolist()
    for name, options in FAMILIES.items():
        stem = name.replace(" ", "_")
        source = compare.tiny_checkpoint(work / stem, **options)
        before = compare.our_logits("dump_logits", source, ids)
        # Norms behind attention and the feed-forward layer let no rotation of the states through.
        rotate = "{pass: quantize.rotate, residual: false}" if name == "gemma3" else "{pass: quantize.rotate}"
        for stage in ("{pass: quantize.scale, bits: 3, group_size: 32}", rotate,
                      "{pass: quantize.rotate, residual: false}"):
            out = compress(source, work / f"{stem}-{abs(hash(stage))}", text, [stage])
            compare.near(f"{name}: {stage}", compare.reference_logits(compare.reference(out), ids), before, 2e-5)
        gptq = "{pass: quantize.gptq, bits: 4, group_size: 32, symmetric: true}"
        for stages in ([gptq], [rotate, gptq]):
            out = compress(source, work / f"{stem}-gptq{len(stages)}", text, stages)
            compare.near(f"{name}: {' '.join(stages)}", compare.our_logits("dump_logits", out, ids),
                         compare.reference_logits(compare.reference(out), ids), 2e-5)


def shipped(work):
    """The shipped recipes on a family whose blocks are of another build than the rest."""
    text = work / "letters"
    text.write_bytes(bytes(np.random.default_rng(1).integers(97, 123, 70000, dtype=np.uint8)))
    source = compare.tiny_checkpoint(work / "gemma3-128", family="gemma3_text", tied=True, dtype="BF16",
                                     hidden_size=128, head_dim=32, intermediate_size=256)
    ids = np.random.default_rng(0).integers(3, 280, 50).tolist()
    for recipe, *flags in (["w4"], ["gptq4", "--calibration", text, "--set", "calibration.windows=16"]):
        out = work / f"gemma3-{recipe}"
        compare.run(compare.tool("ecld"), "compress", recipe, "--model", source, "--out", out, *flags)
        compare.near(f"gemma3: {recipe}", compare.our_logits("dump_logits", out, ids),
                     compare.reference_logits(compare.reference(out), ids), 1e-4)


def body(folder):
    tiny(folder)
    shipped(folder)


if __name__ == "__main__":
    compare.main(body, "ecld", "tiny_checkpoint")
