#!/usr/bin/env python3
"""Chooses a format for each matrix under a budget, from what GPTQ's own errors do to the model's output.

    formats.py --model off-grid --calibration calib.txt --coarse DIR --fine DIR --budget-MB 62 > stages/gptq-62MB.yaml

coarse, fine: the model quantized with about 3 and 4 bits (gptq-w3-mixed and gptq-w4-e4 of table.py). With dW the error
of a matrix there, x its inputs and g the gradient of the log-likelihood of a token drawn from the model's own
prediction by its outputs, KL grows by about mean (g dW x)^2 / 2 (second order, Fisher information, positions taken as
independent). Other formats follow from the nearer of the two by the squared error of rounding normal numbers. The sum
over all matrices is made least under the budget by one price for a byte (Lagrange); what that leaves is spent where it
brings most. One pass forward and back over 1024 tokens. Needs torch, transformers, compressed-tensors, tokenizers.
"""
import argparse
import collections
import pathlib

import torch
from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

WINDOWS, WINDOW_TOK = 4, 256
# Squared error of asymmetric rounding of standard normal numbers by (bits, group size), clipped where that helps.
ERROR = {(2, 32): .090, (2, 64): .105, (2, 128): .113, (3, 32): .0293, (3, 64): .0375, (3, 128): .042,
         (4, 32): .0064, (4, 64): .0085, (4, 128): .0108, (5, 32): .0015, (5, 64): .0020, (5, 128): .0026}
EMBEDDING = "model.embed_tokens"


def dequantized(tensors, name, shape):
    """Values of a packed matrix, and its (bits, group size)."""
    rows, columns = shape
    scales = tensors[f"{name}.weight_scale"].float()
    bits = round(tensors[f"{name}.weight_packed"].shape[1] * 32 / columns)
    size = next(size for size in (32, 64, 128) if -(-columns // size) == scales.shape[1])
    codes = unpack_from_int32(tensors[f"{name}.weight_packed"], bits, torch.Size(shape)).float()
    zero_points = unpack_from_int32(tensors[f"{name}.weight_zero_point"], bits, torch.Size([rows, scales.shape[1]]),
                                    packed_dim=0).float()
    group = torch.arange(columns) // size
    return (codes - zero_points[:, group]) * scales[:, group], (bits, size)


def run(model, ids):
    """Inputs and output gradients of every linear, the embedding's gradient, final states and log-probabilities."""
    inputs, gradients, states = {}, {}, []

    def keep(name):
        def hook(_, arguments, output):
            inputs[name] = arguments[0].detach().flatten(0, 1)
            output.register_hook(lambda gradient: gradients.__setitem__(name, gradient.flatten(0, 1)))
        return hook

    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name != "lm_head":
            module.register_forward_hook(keep(name))
    model.model.norm.register_forward_hook(lambda _, arguments, output: states.append(output.detach().flatten(0, 1)))
    model.requires_grad_(False)
    embedded = model.model.embed_tokens(ids).requires_grad_(True)
    logits = model(inputs_embeds=embedded).logits.flatten(0, 1)
    drawn = torch.distributions.Categorical(logits=logits.detach()).sample()
    torch.nn.functional.cross_entropy(logits, drawn, reduction="sum").backward()
    return inputs, gradients, embedded.grad.flatten(0, 1), states[0], logits.detach().log_softmax(-1)


def measured(model, ids, coarse, fine):
    """{matrix: [((bits, group size), KL) of coarse, of fine]}."""
    inputs, gradients, at_embedding, states, expected = run(model, ids)
    result = {}
    for name in [*inputs, EMBEDDING]:
        weights = model.get_submodule(name).weight
        for tensors in (coarse, fine):
            values, form = dequantized(tensors, name, weights.shape)
            if name == EMBEDDING:  # what reads it, and the logits of the head tied to it
                changed = (values - weights)[ids.flatten()]
                found = (states @ values.T).log_softmax(-1)
                read = 0.5 * (at_embedding * changed).sum(1).square().mean()
                kl = read + (expected.exp() * (expected - found)).sum(1).mean()
            else:
                kl = 0.5 * (gradients[name] * (inputs[name] @ (values - weights).T)).sum(1).square().mean()
            result.setdefault(name, []).append((form, kl.item()))
    return result


def stored_B(rows, columns, bits, size):
    groups = -(-columns // size)
    return 4 * rows * -(-columns * bits // 32) + 2 * rows * groups + 4 * groups * -(-rows * bits // 32)


def choose(measured_kl, shapes, budget_B):
    options = []
    for name, (coarse, fine) in measured_kl.items():
        near = {form: coarse if form[0] <= coarse[0][0] else fine for form in ERROR}
        options.append([(stored_B(*shapes[name], *form), kl * ERROR[form] / ERROR[of], form)
                        for form, (of, kl) in near.items()])
    cheap, dear = 1e-12, 1e-4  # KL for a byte
    for _ in range(100):
        price = (cheap * dear) ** 0.5
        chosen = [min(each, key=lambda option: option[1] + price * option[0]) for each in options]
        if sum(option[0] for option in chosen) > budget_B:
            cheap = price
        else:
            dear, best = price, chosen
    # A large matrix may leave a gap; what fits into it and brings most for its bytes is taken.
    left = budget_B - sum(option[0] for option in best)
    while steps := [((best[i][1] - option[1]) / (option[0] - best[i][0]), i, option) for i, each in enumerate(options)
                    for option in each if 0 < option[0] - best[i][0] <= left and option[1] < best[i][1]]:
        _, i, option = max(steps)
        left -= option[0] - best[i][0]
        best[i] = option
    return dict(zip(measured_kl, (option[2] for option in best)))


def stage(chosen):
    main = collections.Counter(chosen.values()).most_common(1)[0][0]
    layers = collections.defaultdict(list)
    for name, form in chosen.items():
        if name != EMBEDDING and form != main:
            layers[form, name.split(".")[-1]].append(name.split(".")[2])
    lines = [f"  {{match: 're:.*\\.({'|'.join(those)})\\..*\\.{role}', bits: {bits}, group_size: {size}}}"
             for ((bits, size), role), those in layers.items()]
    return (f"{{pass: quantize.gptq, bits: {main[0]}, group_size: {main[1]}, symmetric: false,\n"
            f"embeddings: {{bits: {chosen[EMBEDDING][0]}, group_size: {chosen[EMBEDDING][1]}}}, overrides: [\n"
            + ",\n".join(lines) + "]}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "calibration", "coarse", "fine"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--budget-MB", type=float, required=True)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
    text = arguments.calibration.read_text(encoding="utf-8")
    ids = Tokenizer.from_file(str(arguments.model / "tokenizer.json")).encode(text, add_special_tokens=False).ids
    starts = [(len(ids) - WINDOW_TOK) * (2 * i + 1) // (2 * WINDOWS) for i in range(WINDOWS)]
    windows = torch.tensor([ids[start:start + WINDOW_TOK] for start in starts])
    coarse, fine = (load_file(folder / "model.safetensors") for folder in (arguments.coarse, arguments.fine))
    kl = measured(model, windows, coarse, fine)
    shapes = {name: model.get_submodule(name).weight.shape for name in kl}
    norms_B = sum(2 * parameter.numel() for parameter in model.parameters() if parameter.dim() == 1)
    print(stage(choose(kl, shapes, arguments.budget_MB * 1e6 - norms_B)), end="")


if __name__ == "__main__":
    main()
