#!/usr/bin/env python3
"""Structured pruning of feed-forward channels as other papers do it, for pruning.py: magnitude, Wanda-sp, FLAP.

    structured.py magnitude|wanda-sp|flap <checkpoint> <out> --keep 1216 --calibration text.txt... [--windows 64]

Plain re-implementations. magnitude: mean |W_down| of a column. Wanda-sp (arXiv 2306.11695, by channels as in FLAP's
code): mean |W_down| sqrt(mean x^2). Both take the same share of every block. FLAP (arXiv 2312.11983): |W_down|^2
var(x), standardised in each block, one threshold for all blocks, and what the channels cut put out in the mean as a
bias of down_proj. Inputs are those of the dense model, as there. Channels that are cut are written as zeros, so that
blocks may lose different numbers of them and any client runs the result; report.json has the parameters that are left.
"""
import argparse
import json
import pathlib
import shutil

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM


def windows_of(arguments):
    """As many of each text, spread evenly from its first token to the last."""
    tokenizer = Tokenizer.from_file(str(arguments.checkpoint / "tokenizer.json"))
    windows, texts = [], arguments.calibration
    for place, text in enumerate(texts):
        count = arguments.windows * (place + 1) // len(texts) - arguments.windows * place // len(texts)
        ids = tokenizer.encode(text.read_text(errors="ignore"), add_special_tokens=False).ids
        last = len(ids) - arguments.window_tok
        windows += [ids[begin:begin + arguments.window_tok]
                    for begin in (last * i // max(1, count - 1) for i in range(count))]
    return torch.tensor(windows)


def moments(model, windows):
    """Mean and variance of the inputs of every down_proj."""
    sums = [[0, 0] for _ in model.model.layers]

    def add(layer):
        def hook(_, inputs):
            x = inputs[0].flatten(0, 1).double()
            sums[layer][0] += x.sum(0)
            sums[layer][1] += x.square().sum(0)
        return hook

    for layer, block in enumerate(model.model.layers):
        block.mlp.down_proj.register_forward_pre_hook(add(layer))
    with torch.no_grad():
        for window in windows:
            model.model(window[None])
    tokens = windows.numel()
    return [(total / tokens, squares / tokens - (total / tokens).square()) for total, squares in sums]


def scores(method, down, mean, variance):
    if method == "magnitude":
        return down.abs().mean(0)
    if method == "wanda-sp":
        return down.abs().mean(0) * (variance + mean.square()).sqrt()
    score = down.square().sum(0) * variance
    return (score - score.mean()) / score.std()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=["magnitude", "wanda-sp", "flap"])
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--keep", type=int, required=True, help="channels of a block, in the mean")
    parser.add_argument("--calibration", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--windows", type=int, default=64)
    parser.add_argument("--window-tok", type=int, default=512)
    arguments = parser.parse_args()
    model = AutoModelForCausalLM.from_pretrained(arguments.checkpoint, dtype=torch.float32)
    found = moments(model, windows_of(arguments))
    blocks = [block.mlp.down_proj.weight.detach().double() for block in model.model.layers]
    worth = torch.stack([scores(arguments.method, down, *of_block) for down, of_block in zip(blocks, found)])
    gone = worth.shape[1] - arguments.keep
    if arguments.method == "flap":
        threshold = worth.flatten().sort().values[gone * len(blocks)]
        cut = worth < threshold
    else:
        cut = torch.zeros_like(worth, dtype=torch.bool).scatter_(1, worth.argsort(1)[:, :gone], True)

    tensors = {}
    for shard in sorted(arguments.checkpoint.glob("*.safetensors")):
        tensors |= load_file(shard)
    config = json.loads((arguments.checkpoint / "config.json").read_text())
    for layer, (down, (mean, _)) in enumerate(zip(blocks, found)):
        mlp = f"model.layers.{layer}.mlp."
        for name in ("gate_proj", "up_proj"):
            tensors[f"{mlp}{name}.weight"][cut[layer]] = 0
            if arguments.method == "flap":
                tensors[f"{mlp}{name}.bias"] = torch.zeros(down.shape[1], dtype=tensors[f"{mlp}{name}.weight"].dtype)
        tensors[f"{mlp}down_proj.weight"][:, cut[layer]] = 0
        if arguments.method == "flap":
            tensors[f"{mlp}down_proj.bias"] = (down @ (mean * cut[layer])).to(tensors[f"{mlp}down_proj.weight"].dtype)
    config["mlp_bias"] = arguments.method == "flap"
    arguments.out.mkdir(parents=True)
    save_file(tensors, arguments.out / "model.safetensors", metadata={"format": "pt"})
    (arguments.out / "config.json").write_text(json.dumps(config, indent=2))
    for path in arguments.checkpoint.glob("*token*.json"):
        shutil.copy(path, arguments.out)
    params = sum(tensor.numel() for tensor in tensors.values()) - int(cut.sum()) * 3 * blocks[0].shape[0]
    (arguments.out / "report.json").write_text(json.dumps({"output": {"params": params},
                                                           "cut": cut.sum(1).tolist()}))


if __name__ == "__main__":
    main()
