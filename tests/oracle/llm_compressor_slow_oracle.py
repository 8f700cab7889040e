"""quantize.round against llm-compressor's own rounding to nearest (QuantizationModifier, min-max observer, no data), on
tiny checkpoints: the same scales, codes and zero points. And what llm-compressor wrote, read by our runtime: the logits
that transformers has for it.

In float32 both compute alike: scales to the last bit of rounding, and a code differs only where a weight lies on the
border between two. llm-compressor divides bfloat16 weights in bfloat16, we in float32, so there codes may differ by one (and
by another where the zero point does), and our rounding error is the smaller one.
"""
import pathlib

import numpy as np

import compare

FORMATS = [(4, 32, True), (4, 64, False), (8, 64, True), (8, 0, True), (4, 0, False)]


def theirs(source, out, dtype, bits, group_size, symmetric):
    import torch
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from llmcompressor import oneshot
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from transformers import AutoModelForCausalLM
    model = AutoModelForCausalLM.from_pretrained(source, dtype=getattr(torch, dtype))
    groups = {"strategy": "group", "group_size": group_size} if group_size else {"strategy": "channel"}
    weights = QuantizationArgs(num_bits=bits, type="int", symmetric=symmetric, observer="minmax", **groups)
    scheme = QuantizationScheme(targets=["Linear"], weights=weights)
    oneshot(model=model, recipe=QuantizationModifier(config_groups={"group_0": scheme}, ignore=["lm_head"]))
    model.save_pretrained(out, save_compressed=True)


def ours(source, out, folder, bits, group_size, symmetric):
    recipe = pathlib.Path(folder) / "recipe.yaml"
    recipe.write_text(f"version: 1\nname: oracle\nstages:\n  - pass: quantize.round\n    bits: {bits}\n"
                      f"    group_size: {group_size}\n    symmetric: {str(symmetric).lower()}\n    clip: minmax\n")
    compare.run(compare.tool("ecld"), "compress", recipe, "--model", source, "--out", out)


def tensors(directory):
    import safetensors.torch
    found = {}
    for shard in sorted(pathlib.Path(directory).glob("*.safetensors")):
        found.update(safetensors.torch.load_file(shard))
    return found


def codes(packed, bits, count):
    """[rows, count] unsigned codes of packed words; 4 and 8 bits do not straddle words."""
    words = packed.numpy().astype(np.int64) & 0xffffffff
    parts = [(words >> shift) & (2 ** bits - 1) for shift in range(0, 32, bits)]
    return np.stack(parts, -1).reshape(words.shape[0], -1)[:, :count]


def values(parts, bits):
    """The weights of a packed module in double precision."""
    rows, columns = parts["weight_shape"].tolist()
    scale = parts["weight_scale"].double().numpy()
    size = -(-columns // scale.shape[1])
    zero = np.full(scale.shape, 2 ** (bits - 1))
    if "weight_zero_point" in parts:
        zero = codes(parts["weight_zero_point"].T.contiguous(), bits, rows).T
    expand = lambda array: np.repeat(array, size, 1)[:, :columns]
    return (codes(parts["weight_packed"], bits, columns) - expand(zero)) * expand(scale)


def module(all_tensors, name):
    return {key.removeprefix(name + "."): value for key, value in all_tensors.items() if key.startswith(name + ".weight_")}


def compare_weights(name, original, mine, his, bits, symmetric, exact):
    check = compare.check
    check(f"{name}: the same tensors", set(mine) == set(his), f"{len(mine)} tensors")
    worst_scale, differ, total, furthest, my_error, his_error = 0.0, 0, 0, 0, 0.0, 0.0
    for packed in [key.removesuffix(".weight_packed") for key in mine if key.endswith(".weight_packed")]:
        a, b = module(mine, packed), module(his, packed)
        scale = b["weight_scale"].double().numpy()
        worst_scale = max(worst_scale, np.abs(a["weight_scale"].double().numpy() / scale - 1).max())
        columns = a["weight_shape"][1].item()
        distance = np.abs(codes(a["weight_packed"], bits, columns) - codes(b["weight_packed"], bits, columns))
        differ, total, furthest = differ + int((distance > 0).sum()), total + distance.size, max(furthest, distance.max())
        weight = original[packed + ".weight"].double().numpy()
        my_error += ((values(a, bits) - weight) ** 2).sum()
        his_error += ((values(b, bits) - weight) ** 2).sum()
    detail = f"{differ} of {total} codes differ, by at most {furthest}"
    if exact:
        compare.near(f"{name}: scales", worst_scale, 0, 2e-7)
        check(f"{name}: codes", differ <= total * 1e-4 and furthest <= 1, detail)
        compare.near(f"{name}: rounding error", my_error / his_error, 1, 1e-5)
    else:
        compare.near(f"{name}: scales", worst_scale, 0, 2 ** -7)
        check(f"{name}: codes", furthest <= (1 if symmetric else 2), detail)
        check(f"{name}: rounding error", my_error <= his_error, f"{my_error:.6g}, theirs {his_error:.6g}")


def body(folder):
    ids = np.random.default_rng(5).integers(0, 300, 64).tolist()
    for kind, dtype, family in (("F32", "float32", "llama"), ("BF16", "bfloat16", "qwen3")):
        source = compare.tiny_checkpoint(folder / kind, family=family, hidden_size=128, intermediate_size=192,
                                         num_heads=4, dtype=kind)
        for bits, group_size, symmetric in FORMATS:
            name = f"{family} {kind} W{bits} g{group_size} {'sym' if symmetric else 'asym'}"
            mine, his = folder / (name + " ours").replace(" ", "_"), folder / (name + " theirs").replace(" ", "_")
            theirs(source, his, dtype, bits, group_size, symmetric)
            ours(source, mine, folder, bits, group_size, symmetric)
            compare_weights(name, tensors(source), tensors(mine), tensors(his), bits, symmetric, kind == "F32")
            if symmetric:  # transformers cannot load the others packed (quantized_oracle.py)
                expected = compare.reference_logits(compare.reference(his), ids)
                compare.near(f"{name}: logits of theirs", compare.our_logits("dump_logits", his, ids), expected, 1e-3)


if __name__ == "__main__":
    compare.main(body, "ecld", "dump_logits", "tiny_checkpoint", package="llmcompressor")
