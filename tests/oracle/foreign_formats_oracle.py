#!/usr/bin/env python3
"""Checkpoints in the formats of other programs (GPTQ, AWQ, AutoRound, FP8, compressed-tensors), written here by the layout
that these publish: our logits are those of the same weights, dequantized by the same layout and loaded dense in
transformers. And what the other programs of ECLD make of them: inspect, validate, export, compress.
"""
import json

import numpy as np

import compare

MAX_LOGIT = 1e-4  # in float32; 1e-3 is what the formats promise
TINY = {"family": "llama", "hidden_size": 128, "intermediate_size": 192, "num_heads": 8}
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def stream(bits, values):
    """[..., count] unsigned values as one bit stream along the last axis: [..., count * bits / 32] int32."""
    spread = (values[..., None].astype(np.int64) >> np.arange(bits)) & 1
    spread = spread.reshape(*values.shape[:-1], -1, 32)
    return (spread << np.arange(32)).sum(-1).astype(np.uint32).view(np.int32)


def rounded(weight, bits, group, symmetric, order=None):
    """Codes, zero points [out, groups], scales [out, groups] in half precision, the group of each input, and weights."""
    out, columns = weight.shape
    size = group if group > 0 else columns
    index = np.arange(columns) // size
    if order is not None:
        index = index[np.argsort(order)]
    groups, top = columns // size, 2 ** bits - 1
    codes, zeros = np.zeros(weight.shape, np.int64), np.zeros((out, groups), np.int64)
    scales = np.zeros((out, groups), np.float16)
    for g in range(groups):
        part = weight[:, index == g]
        low, high = np.minimum(part.min(1), 0), np.maximum(part.max(1), 0)
        if symmetric:
            scale = np.maximum(np.abs(part).max(1), 1e-6) * 2 / top
            zero = np.full(out, 2 ** (bits - 1))
        else:
            scale = np.maximum(high - low, 1e-6) / top
            zero = np.clip(np.round(-low / scale), 0, top)
        scales[:, g], zeros[:, g] = scale, zero
        scale = scales[:, g].astype(np.float32)[:, None]
        codes[:, index == g] = np.clip(np.round(part / scale) + zeros[:, g, None], 0, top)
    dense = (codes - zeros[:, index]).astype(np.float32) * scales.astype(np.float32)[:, index]
    return codes, zeros, scales, index, dense


def gptq(bits, group, symmetric, version, ordered=False, **more):
    def store(name, weight):
        order = np.random.default_rng(len(name)).permutation(weight.shape[1]) if ordered else None
        codes, zeros, scales, index, dense = rounded(weight, bits, group, symmetric, order)
        if version == 1 and bits == 3:
            words = stream(bits, (zeros.T - 1) & 7)
        else:
            words = stream(bits, zeros.T)
            if version == 1:
                ones = sum(1 << shift for shift in range(0, 32, bits))
                words = (words.view(np.uint32) - np.uint32(ones)).view(np.int32)
        return {"qweight": stream(bits, codes).T, "qzeros": words, "scales": scales.T, "g_idx": index.astype(np.int32)}, dense
    config = {"quant_method": "gptq", "bits": bits, "group_size": group, "sym": symmetric, "desc_act": ordered,
              "checkpoint_format": "gptq" if version == 1 else "gptq_v2", **more}
    return store, config


def awq(symmetric=False, **more):
    def store(name, weight):
        codes, zeros, scales, _, dense = rounded(weight, 4, 32, symmetric)
        def pack(values):
            fields = values.T.reshape(values.shape[1], -1, 8)[..., AWQ_ORDER]
            return (fields << (4 * np.arange(8))).sum(-1).astype(np.uint32).view(np.int32)
        return {"qweight": pack(codes), "qzeros": pack(zeros), "scales": scales.T}, dense
    return store, {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": not symmetric, "version": "gemm", **more}


def float8(block, part, config):
    def store(name, weight):
        import torch
        rows, columns = (weight.shape[0] if block[0] == 0 else block[0]), (weight.shape[1] if block[1] == 0 else block[1])
        blocks = (-(-weight.shape[0] // rows), -(-weight.shape[1] // columns))
        row, column = np.arange(weight.shape[0]) // rows, np.arange(weight.shape[1]) // columns
        scales = np.zeros(blocks, np.float32)
        for i in range(blocks[0]):
            for j in range(blocks[1]):
                scales[i, j] = max(np.abs(weight[row == i][:, column == j]).max(), 1e-6) / 448
        spread = scales[row][:, column]
        codes = torch.tensor(weight / spread).to(torch.float8_e4m3fn)
        shape = [1] if block == (0, 0) else scales.shape
        return {"weight": codes, part: scales.reshape(shape)}, codes.float().numpy() * spread
    return store, config


def compressed(format_, bits, strategy, group=0, symmetric=True, ordered=False):
    def store(name, weight):
        order = np.random.default_rng(len(name)).permutation(weight.shape[1]) if ordered else None
        codes, zeros, scales, index, dense = rounded(weight, bits, group, symmetric, order)
        middle = 2 ** (bits - 1)
        if format_ == "int-quantized":
            parts = {"weight": (codes - middle).astype(np.int8), "weight_scale": scales}
            if not symmetric:
                parts["weight_zero_point"] = (zeros - middle).astype(np.int8)
            return parts, dense
        parts = {"weight_packed": stream(bits, codes), "weight_scale": scales,
                 "weight_shape": np.array(weight.shape, np.int64)}
        if not symmetric:
            parts["weight_zero_point"] = stream(bits, zeros.T).T
        if ordered:
            parts["weight_g_idx"] = index.astype(np.int32)
        return parts, dense
    weights = {"num_bits": bits, "type": "int", "symmetric": symmetric, "strategy": strategy, "actorder": "group" if ordered else None}
    if group:
        weights["group_size"] = group
    return store, {"quant_method": "compressed-tensors", "format": format_, "quantization_status": "compressed",
                   "ignore": ["lm_head"], "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}}}


def float_compressed(strategy, block, more):
    weights = {"num_bits": 8, "type": "float", "symmetric": True, "strategy": strategy, **more}
    return float8(block, "weight_scale", {"quant_method": "compressed-tensors", "format": "float-quantized",
                  "ignore": ["lm_head"], "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights,
                  "input_activations": {"num_bits": 8, "type": "float", "dynamic": True, "strategy": "token"}}}})


FP8 = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic"}
FORMATS = {
    "GPTQ 4 sym": gptq(4, 32, True, 1),
    "GPTQ 4 asym": gptq(4, 32, False, 1),
    "GPTQ 4 version 2, whole rows": gptq(4, -1, False, 2),
    "GPTQ 3": gptq(3, 32, False, 1),
    "GPTQ 8": gptq(8, 64, True, 2),
    "GPTQ 2 act-order": gptq(2, 32, False, 1, ordered=True),
    "AutoRound, GPTQ's packing": (gptq(4, 32, True, 1)[0], {"quant_method": "auto-round", "bits": 4, "group_size": 32,
                                  "sym": True, "packing_format": "auto_round:auto_gptq", "iters": 200}),
    "AWQ": awq(),
    "AWQ without zero points": awq(True),
    "FP8 blocks": float8((128, 128), "weight_scale_inv", {**FP8, "weight_block_size": [128, 128]}),
    "FP8 whole": float8((0, 0), "weight_scale_inv", {**FP8, "weight_block_size": None}),
    "FP8 blocks, no config": float8((64, 64), "weight_scale_inv", None),
    "compressed-tensors floats, channels": float_compressed("channel", (1, 0), {}),
    "compressed-tensors floats, blocks": float_compressed("block", (64, 32), {"block_structure": [64, 32]}),
    "compressed-tensors int8": compressed("int-quantized", 8, "channel"),
    "compressed-tensors int8 groups asym": compressed("int-quantized", 8, "group", 32, False),
    "compressed-tensors act-order": compressed("pack-quantized", 4, "group", 32, False, ordered=True),
    "compressed-tensors": compressed("pack-quantized", 4, "group", 32, True),
}
COMPRESSED = ("GPTQ 4 asym", "GPTQ 2 act-order", "AWQ", "FP8 blocks", "compressed-tensors int8", "compressed-tensors")


def write(source, out, tensors, config):
    import safetensors.torch
    import torch
    out.mkdir()
    for file in source.iterdir():
        if file.is_file() and file.suffix != ".safetensors" and "index" not in file.name and file.name != "config.json":
            (out / file.name).write_bytes(file.read_bytes())
    tensors = {name: (value if isinstance(value, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(value))).contiguous()
               for name, value in tensors.items()}
    safetensors.torch.save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(config))


def in_format(source, folder, name, store, quantization):
    """The model stored so, and the same weights dense."""
    import safetensors.torch
    tensors = {}
    for shard in source.glob("*.safetensors"):
        tensors.update(safetensors.torch.load_file(shard))
    config = json.loads((source / "config.json").read_text())
    stored, dense = {}, {}
    for tensor, value in tensors.items():
        stored[tensor] = dense[tensor] = value
        if not tensor.endswith("_proj.weight"):
            continue
        parts, dense[tensor] = store(tensor, value.float().numpy())
        del stored[tensor]
        stored.update({tensor.removesuffix("weight") + part: values for part, values in parts.items()})
    plain = folder / (name + " dense")
    write(source, plain, dense, config)
    quantized = folder / name
    write(source, quantized, stored, config if quantization is None else {**config, "quantization_config": quantization})
    return quantized, plain


def uses(folder, name, quantized, logits, ids):
    """What the other programs make of it."""
    ecld = compare.tool("ecld")
    described = json.loads(compare.run(ecld, "inspect", quantized, "--json", "-"))
    told = "quantized_already" in described or name == "compressed-tensors"
    compare.check(f"{name}: inspect says what becomes of it", told, str(described.get("quantized_already", {}).get("notes")))
    compare.run(ecld, "validate", quantized)
    if name not in COMPRESSED:
        return
    recipe = folder / "recipe.yaml"
    recipe.write_text("version: 1\nname: oracle\nstages:\n  - pass: quantize.round\n    bits: 8\n    group_size: 32\n")
    out = folder / (name + " compressed")
    plan = json.loads(compare.run(ecld, "compress", recipe, "--model", quantized, "--out", out, "--dry-run", "--json", "-"))
    compare.check(f"{name}: the plan says so too", "quantized_already" in plan, "")
    compare.run(ecld, "compress", recipe, "--model", quantized, "--out", out)
    report = json.loads((out / "report.json").read_text())
    compare.check(f"{name}: the report says so too", "quantized_already" in report["input"], "")
    again = compare.our_logits("dump_logits", out, ids)
    compare.near(f"{name}: logits after 8 bits", again, logits, 0.05 * np.abs(logits).max())


def body(folder):
    ids = np.random.default_rng(3).integers(0, 300, 64).tolist()
    source = compare.tiny_checkpoint(folder / "source", **TINY)
    original = compare.our_logits("dump_logits", source, ids)
    for name, (store, config) in FORMATS.items():
        quantized, plain = in_format(source, folder, name, store, config)
        theirs = compare.reference_logits(compare.reference(plain), ids)
        ours = compare.our_logits("dump_logits", quantized, ids)
        compare.near(f"{name}: logits", ours, theirs, MAX_LOGIT)
        changed = np.abs(ours - original).max()
        compare.check(f"{name}: it is quantized", changed > 1e-2, f"logits moved by {changed:.2e}")
        uses(folder, name, quantized, theirs, ids)


if __name__ == "__main__":
    compare.main(body, "ecld", "tiny_checkpoint", "dump_logits")
