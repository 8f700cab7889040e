"""A checkpoint that AutoRound made and wrote in its llm_compressor format (packed as compressed-tensors does), read by our
runtime: the logits that transformers has for it. Tiny models, a few steps of its tuning on random text.
"""

import numpy as np

import compare

TINY = {"llama": {"hidden_size": 128, "intermediate_size": 192, "num_heads": 8},
        "qwen3": {"family": "qwen3", "hidden_size": 128, "intermediate_size": 192, "head_dim": 32}}


def tuned_by_auto_round(source, out, bits, group_size):
    import torch
    from auto_round import AutoRound
    from transformers import AutoModelForCausalLM, AutoTokenizer
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    rows = torch.randint(0, 300, (8, 1, 64), generator=torch.Generator().manual_seed(0))
    calibration = [{"input_ids": row, "attention_mask": torch.ones_like(row)} for row in rows]
    tuned = AutoRound(model, AutoTokenizer.from_pretrained(source), scheme=f"W{bits}A16", bits=bits,
                      group_size=group_size, sym=True, iters=4, nsamples=8, seqlen=64, batch_size=4, dataset=calibration,
                      device_map="cpu")
    tuned.quantize_and_save(str(out), format="llm_compressor")
    (written,) = {path.parent for path in out.rglob("config.json")}
    return written


def body(folder):
    ids = np.random.default_rng(6).integers(0, 300, 64).tolist()
    for index, (name, options) in enumerate(TINY.items()):
        source = compare.tiny_checkpoint(folder / f"tiny{index}", **options)
        for bits, group_size in ((4, 32), (8, 64)):
            name_bits = f"{name} W{bits} g{group_size}"
            written = tuned_by_auto_round(source, folder / f"out{index}{bits}", bits, group_size)
            theirs = compare.reference_logits(compare.reference(written), ids)
            ours = compare.our_logits("dump_logits", written, ids)
            compare.near(f"{name_bits}: logits", ours, theirs, 1e-3)
            changed = np.abs(ours - compare.our_logits("dump_logits", source, ids)).max()
            compare.check(f"{name_bits}: it is quantized", changed > 1e-2, f"logits moved by {changed:.2e}")


if __name__ == "__main__":
    compare.main(body, "dump_logits", "tiny_checkpoint", package="auto_round")
