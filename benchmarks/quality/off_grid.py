#!/usr/bin/env python3
"""Takes a checkpoint off the grid it may once have been quantized to, without changing what it computes.

A model imported from a 4-bit file lies on that file's grid: whoever hits the same groups rounds it without loss, which
says nothing about a quantizer. This applies, seeded:
  - one permutation of the residual channels (embedding, norms, every linear), and one of the feed-forward channels of
    each block, so that groups hold other neighbours;
  - a factor for each channel between a norm and the linears behind it, between v and o, and between up and down.
Factors are exp(0.1 * normal). Weights are rounded to BF16 again, the only change of the function.

    off_grid.py <checkpoint> <out> [--seed 1]

Then measure it: ecld eval <out> --reference <checkpoint> --text held-out.txt
"""
import argparse
import json
import pathlib
import shutil

import torch
from safetensors.torch import load_file, save_file


def factors(generator, size):
    return torch.exp(0.1 * torch.randn(size, generator=generator, dtype=torch.float64))


def scale(tensors, producers, consumers, factor):
    """producers give out 1/factor as much, in rows; consumers take factor times as much, in columns."""
    for name in producers:
        if name in tensors:
            tensors[name] = tensors[name] / (factor if tensors[name].dim() == 1 else factor[:, None])
    for name in consumers:
        tensors[name] = tensors[name] * factor


def rescale_block(tensors, block, config, generator):
    attention, mlp = f"{block}self_attn.", f"{block}mlp."
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    scale(tensors, [f"{block}input_layernorm.weight"], [f"{attention}{x}_proj.weight" for x in "qkv"],
          factors(generator, config["hidden_size"]))
    scale(tensors, [f"{block}post_attention_layernorm.weight"], [f"{mlp}gate_proj.weight", f"{mlp}up_proj.weight"],
          factors(generator, config["hidden_size"]))
    scale(tensors, [f"{mlp}up_proj.weight", f"{mlp}up_proj.bias"], [f"{mlp}down_proj.weight"],
          factors(generator, config["intermediate_size"]))
    value = factors(generator, kv_heads * head_dim)
    scale(tensors, [f"{attention}v_proj.weight", f"{attention}v_proj.bias"], [], value)
    tensors[f"{attention}o_proj.weight"] *= value.view(kv_heads, 1, head_dim).expand(
        kv_heads, heads // kv_heads, head_dim).reshape(-1)
    order = torch.randperm(config["intermediate_size"], generator=generator)
    for name in (f"{mlp}{x}_proj.{kind}" for x in ("gate", "up") for kind in ("weight", "bias")):
        if name in tensors:
            tensors[name] = tensors[name][order]
    tensors[f"{mlp}down_proj.weight"] = tensors[f"{mlp}down_proj.weight"][:, order]


def permute_residual(tensors, size, generator):
    order = torch.randperm(size, generator=generator)
    for name, tensor in tensors.items():
        if name.endswith(("o_proj.weight", "down_proj.weight", "o_proj.bias", "down_proj.bias")):
            tensors[name] = tensor[order]
        elif name.endswith(("layernorm.weight", "model.norm.weight")):
            tensors[name] = tensor[order]
        elif tensor.dim() == 2:  # all others read the residual stream, or are the embedding
            tensors[name] = tensor[:, order]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    config = json.loads((arguments.checkpoint / "config.json").read_text())
    generator = torch.Generator().manual_seed(arguments.seed)
    tensors = {}
    for shard in sorted(arguments.checkpoint.glob("*.safetensors")):
        tensors |= {name: tensor.double() for name, tensor in load_file(shard).items()}
    for layer in range(config["num_hidden_layers"]):
        rescale_block(tensors, f"model.layers.{layer}.", config, generator)
    permute_residual(tensors, config["hidden_size"], generator)
    arguments.out.mkdir(parents=True)
    save_file({name: tensor.to(torch.bfloat16).contiguous() for name, tensor in tensors.items()},
              arguments.out / "model.safetensors", metadata={"format": "pt"})
    for path in arguments.checkpoint.iterdir():
        if path.suffix in (".json", ".model", ".jinja") and not path.name.endswith(".index.json"):
            shutil.copy(path, arguments.out / path.name)


if __name__ == "__main__":
    main()
