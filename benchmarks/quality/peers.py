"""What other programs make of the same checkpoint: the peers of table.py.

A peer's result is a folder with a checkpoint that `ecld eval` scores, and the bytes of its weights in its own format.
  - llama.cpp: the subject as a BF16 GGUF file, an importance matrix from the calibration windows, llama-quantize. Its
    tensors are then dequantized by the gguf package to float32, so the weights alone are scored: at run time llama.cpp
    also rounds activations to 8 bits. MB are those of the tensors; the file's tokenizer is not counted.
  - llm-compressor, AutoRound (llm_compressor.py, a process of its own): what it writes is scored as it is.
"""
import json
import pathlib
import shutil
import subprocess

# name: llama-quantize's type, and whether an importance matrix has an effect on it.
LLAMA_CPP = {f"llama.cpp {kind}": (kind, kind != "Q8_0")
             for kind in ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_1", "Q4_0", "IQ4_NL", "Q3_K_M", "Q2_K")}
LLM_COMPRESSOR = ("llm-compressor RTN", "llm-compressor GPTQ", "llm-compressor AWQ", "AutoRound")
AWQ_WINDOWS = 64  # of them: its search runs them through each block 80 times
NAMES = [*LLAMA_CPP, *LLM_COMPRESSOR]

BLOCK = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
ENDS = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def run(*command):
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


def windows(arguments):
    """The calibration windows that `choice: even` takes, as lists of token ids."""
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
    ids = tokenizer.encode(arguments.calibration.read_text(encoding="utf-8"), add_special_tokens=False).ids
    count, size = arguments.calibration_windows, 512
    starts = [(len(ids) - size) * i // (count - 1) for i in range(count)]
    return tokenizer, [ids[start:start + size] for start in starts]


def copy_files(model, pattern, out):
    for path in model.glob(pattern):
        if not path.name.endswith(".index.json"):
            shutil.copy(path, out / path.name)


def hf_name(name):
    base, kind = name.rsplit(".", 1)
    if base.startswith("blk."):
        _, layer, part = base.split(".")
        return f"model.layers.{layer}.{BLOCK[part]}.{kind}"
    return f"{ENDS[base]}.{kind}"


def dequantize(file, model, out):
    """The tensors of a GGUF file as a float32 checkpoint; their bytes in the file. llama.cpp stores rows of q and k
    with the two halves of a head's rotary pairs interleaved; that is undone."""
    import gguf
    import numpy
    import torch
    from safetensors.torch import save_file
    config = json.loads((model / "config.json").read_text())
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    tensors, weight_bytes = {}, 0
    for tensor in gguf.GGUFReader(file).tensors:
        if tensor.name == "rope_freqs.weight":
            continue
        weight_bytes += int(tensor.n_bytes)
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
        part = tensor.name.split(".")[-2]
        if part in heads:
            rows, columns = values.shape
            values = values.reshape(heads[part], rows // heads[part] // 2, 2, columns).swapaxes(1, 2).reshape(rows, -1)
        tensors[hf_name(tensor.name)] = torch.from_numpy(numpy.ascontiguousarray(values))
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    copy_files(model, "*.json", out)
    (out / "config.json").write_text(json.dumps(config | {"torch_dtype": "float32"}))
    return weight_bytes


def importance_matrix(arguments):
    """The subject as GGUF and the matrix, made once."""
    dense, matrix = arguments.work / "subject.gguf", arguments.work / "imatrix.gguf"
    if not dense.exists():
        run(arguments.ecld, "export", arguments.model, "--to", "gguf", dense)
    if not matrix.exists():
        tokenizer, parts = windows(arguments)
        text = arguments.work / "calibration-windows.txt"
        text.write_text("".join(tokenizer.decode(part) for part in parts), encoding="utf-8")
        part = matrix.with_suffix(".part")
        run(arguments.llama_cpp / "bin" / "llama-imatrix", "-m", dense, "-f", text, "-o", part, "-c", 512)
        part.rename(matrix)
    return dense, matrix


def llama_cpp(name, folder, arguments):
    kind, weighted = LLAMA_CPP[name]
    dense, matrix = importance_matrix(arguments)
    file = folder / "model.gguf"
    run(arguments.llama_cpp / "bin" / "llama-quantize", *(["--imatrix", matrix] if weighted else []), dense, file, kind)
    return dequantize(file, arguments.model, folder)


def llm_compressor(name, folder, arguments):
    _, parts = windows(arguments)
    method = name.split()[-1]
    if method == "AWQ":
        parts = parts[::-(-len(parts) // AWQ_WINDOWS)]
    tokens = folder / "windows.json"
    tokens.write_text(json.dumps(parts))
    run(arguments.llm_compressor, pathlib.Path(__file__).parent / "llm_compressor.py", method,
        arguments.model, folder, tokens)
    copy_files(arguments.model, "tokenizer*", folder)
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def make(name, arguments):
    """The folder of a peer's result, made unless it is there, and the bytes of its weights."""
    folder = arguments.work / name.replace(" ", "-")
    made = folder / "weights_B.json"
    if not made.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        weights_B = (llama_cpp if name in LLAMA_CPP else llm_compressor)(name, folder, arguments)
        made.write_text(json.dumps(weights_B))
    return folder, json.loads(made.read_text())
