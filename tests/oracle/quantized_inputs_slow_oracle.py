"""What AutoRound exports as GPTQ, AWQ and in its own form, and llm-compressor as 8-bit floats and integers, made here on
the CPU: our logits are those of a plain dequantization by the published layouts, loaded dense in transformers.
"""
import numpy as np

import compare
import published_layouts

TINY = {"family": "llama", "hidden_size": 128, "intermediate_size": 256, "num_heads": 8, "num_kv_heads": 4}
MAX_LOGIT = 1e-3


def by_auto_round(source, out, format_, **scheme):
    import torch
    from auto_round import AutoRound
    from transformers import AutoModelForCausalLM, AutoTokenizer
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    rows = torch.randint(0, 300, (8, 1, 64), generator=torch.Generator().manual_seed(0))
    calibration = [{"input_ids": row, "attention_mask": torch.ones_like(row)} for row in rows]
    tuned = AutoRound(model, AutoTokenizer.from_pretrained(source), scheme="W4A16", group_size=32, iters=4, nsamples=8,
                      seqlen=64, batch_size=4, dataset=calibration, device_map="cpu", **scheme)
    tuned.quantize_and_save(str(out), format=format_)
    (written,) = {path.parent for path in out.rglob("config.json")}
    return written


def by_llm_compressor(source, out, scheme):
    import torch
    from llmcompressor import oneshot
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from transformers import AutoModelForCausalLM
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    oneshot(model=model, recipe=QuantizationModifier(targets=["Linear"], scheme=scheme, ignore=["lm_head"]))
    model.save_pretrained(out, save_compressed=True)
    return out


def compare_written(name, source, written, folder, ids):
    plain = published_layouts.dequantized(written, folder / (name + " dense"))
    theirs = compare.reference_logits(compare.reference(plain), ids)
    ours = compare.our_logits("dump_logits", written, ids)
    compare.near(f"{name}: logits", ours, theirs, MAX_LOGIT)
    changed = np.abs(ours - compare.our_logits("dump_logits", source, ids)).max()
    compare.check(f"{name}: it is quantized", changed > 1e-3, f"logits moved by {changed:.2e}")
    recipe = folder / "recipe.yaml"
    recipe.write_text("version: 1\nname: oracle\nstages:\n  - pass: quantize.round\n    bits: 8\n    group_size: 32\n")
    if not (written / "tokenizer.json").exists():
        (written / "tokenizer.json").write_bytes((source / "tokenizer.json").read_bytes())
    compare.run(compare.tool("ecld"), "compress", recipe, "--model", written, "--out", folder / (name + " compressed"))
    again = compare.our_logits("dump_logits", folder / (name + " compressed"), ids)
    compare.near(f"{name}: logits after 8 bits", again, theirs, 0.05 * np.abs(theirs).max())


def body(folder):
    ids = np.random.default_rng(6).integers(0, 300, 64).tolist()
    source = compare.tiny_checkpoint(folder / "source", **TINY)
    for format_, scheme in (("auto_gptq", {"sym": True}), ("auto_gptq", {"sym": False}), ("auto_awq", {"sym": False}),
                            ("auto_awq", {"sym": True}), ("auto_round", {"sym": True}), ("auto_round", {"sym": False})):
        name = f"AutoRound {format_} {'sym' if scheme['sym'] else 'asym'}"
        compare_written(name, source, by_auto_round(source, folder / name, format_, **scheme), folder, ids)
    for scheme in ("FP8_DYNAMIC", "FP8_BLOCK", "W8A8"):
        name = f"llm-compressor {scheme}"
        compare_written(name, source, by_llm_compressor(source, folder / name, scheme), folder, ids)


if __name__ == "__main__":
    compare.main(body, "ecld", "dump_logits", "tiny_checkpoint", package="auto_round")
