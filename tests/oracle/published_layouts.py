"""Plain dequantization, by the layouts that GPTQ, AWQ, FP8 and compressed-tensors publish, of what other programs wrote."""
import json
import pathlib

import numpy as np


def fields(words, bits):
    """[..., n] int32 words of one bit stream along the last axis: its unsigned fields, [..., n * 32 / bits]."""
    spread = (words.view(np.uint32)[..., None] >> np.arange(32, dtype=np.uint32)) & 1
    spread = spread.reshape(*words.shape[:-1], -1, bits).astype(np.int64)
    return (spread << np.arange(bits)).sum(-1)


def gptq(parts, bits, version_one):
    zeros = parts["qzeros"].copy().view(np.uint32)
    if version_one and bits != 3:
        zeros += np.uint32(sum(1 << shift for shift in range(0, 32, bits)))
    zeros = fields(zeros.view(np.int32), bits)
    if version_one and bits == 3:
        zeros = (zeros + 1) & 7
    codes = fields(np.ascontiguousarray(parts["qweight"].T), bits)
    scales, columns = parts["scales"].astype(np.float32), codes.shape[1]
    index = parts.get("g_idx", np.arange(columns) // (columns // scales.shape[0]))
    return (codes - zeros.T[:, index]).astype(np.float32) * scales.T[:, index]


def awq(parts):
    order = np.argsort([0, 2, 4, 6, 1, 3, 5, 7])
    def unpack(words):
        return fields(words[..., None], 4)[..., order].reshape(words.shape[0], -1)
    codes, zeros, scales = unpack(parts["qweight"]), unpack(parts["qzeros"]), parts["scales"].astype(np.float32)
    index = np.arange(codes.shape[0]) // (codes.shape[0] // scales.shape[0])
    return ((codes - zeros[index]).astype(np.float32) * scales[index]).T


def scaled(weight, scale, block):
    scale = scale.reshape(1, 1) if scale.size == 1 else scale.reshape(scale.shape[0], -1)
    rows, columns = block or (-(-weight.shape[0] // scale.shape[0]), -(-weight.shape[1] // scale.shape[1]))
    return weight * scale[np.arange(weight.shape[0]) // rows][:, np.arange(weight.shape[1]) // columns]


def dequantized(directory, out):
    """Writes the same model dense to out, in float32."""
    import safetensors.torch
    import torch
    directory = pathlib.Path(directory)
    config = json.loads((directory / "config.json").read_text())
    quantization = config.pop("quantization_config")
    tensors = {}
    for shard in directory.glob("*.safetensors"):
        for name, value in safetensors.torch.load_file(shard).items():
            tensors[name] = value.float() if value.is_floating_point() else value
    modules = {name.rpartition(".")[0] for name in tensors if name.endswith((".qweight", ".weight_scale", ".weight_scale_inv"))}
    for module in modules:
        parts = {name.rpartition(".")[2]: tensors.pop(name).numpy() for name in list(tensors)
                 if name.rpartition(".")[0] == module and not name.endswith(".bias")}
        packing = quantization.get("packing_format", quantization["quant_method"])
        if "qweight" in parts and "awq" in packing:
            weight = awq(parts)
        elif "qweight" in parts:
            weight = gptq(parts, quantization["bits"], "gptq" in packing)
        else:
            scale = parts.get("weight_scale", parts.get("weight_scale_inv"))
            zero = parts.get("weight_zero_point", np.zeros_like(scale))
            weight = parts["weight"].astype(np.float32)
            if zero.any():
                weight = weight - scaled(np.ones_like(weight), zero.astype(np.float32), None)
            (group,) = quantization.get("config_groups", {0: {"weights": {}}}).values()
            weight = scaled(weight, scale, group["weights"].get("block_structure") or quantization.get("weight_block_size"))
        tensors[module + ".weight"] = torch.from_numpy(np.ascontiguousarray(weight, np.float32))
    out.mkdir()
    config["dtype"] = "float32"
    config.pop("torch_dtype", None)
    safetensors.torch.save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(config))
    return out
