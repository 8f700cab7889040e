"""Compares our tokenizers with Hugging Face tokenizers, id for id, on about 1 MB of mixed text.

The text is code, prose, technical and multilingual files of the test data, and seeded random strings: emoji,
Chinese, Arabic, Korean, combining marks, odd spaces, special tokens, broken UTF-8. Hugging Face takes valid text
only, so both sides get the text with broken bytes replaced; that ours takes the broken bytes themselves is the
business of the unit tests.
"""
import json
import random
import shutil

from tokenizers import Tokenizer

from compare import DATA, check, main, run, skip, tool

TOKENIZERS = [
    "tok-llama3/tokenizer.json",
    "tok-qwen2/qwen2.tokenizer.json",
    "tok-qwen2/qwen3.tokenizer.json",
    "tok-mistral-nemo-derived/tokenizer.json",
    "tinystories-656k-hf/tokenizer.json",
    "stories260K-hf/tokenizer.json",
]

ALPHABETS = [
    "abc XYZ '\u2019.,;:!?-_/\\()[]{}<>|@#$%^&*+=~`\"",
    "0123456789 \u00bd\u2167\u0663\u0967",
    " \t\n\r\u00a0\u2003\u3000\u0085\u2028\u200b\u180e\ufeff",
    "\u4e2d\u6587\u6c49\u5b57\u3002\uff0c\u3042\u304b\u3099\u30ab",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629\u064e\u0651 \u0622",
    "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab",
    "e\u0301\u0308 \u00e9 A\u030a \u212b \u0915\u093c \u09c7\u09be \ufb01",
    "\U0001f600\U0001f999\U0001f468\u200d\U0001f469\u200d\U0001f467\u2764\ufe0f\U0001f1e9\U0001f1ea",
    "'s'S 't're'VE'm'll'd'\u017f \u01c5\u02b0\u1f88",
]


def random_text(rng, size, special_tokens):
    parts = []
    length = 0
    while length < size:
        if rng.random() < 0.02 and special_tokens:
            part = rng.choice(special_tokens)
        elif rng.random() < 0.05:
            part = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 12))).decode("utf-8", errors="replace")
        else:
            alphabet = rng.choice(ALPHABETS)
            part = "".join(rng.choice(alphabet) for _ in range(rng.randrange(1, 12)))
        parts.append(part)
        length += len(part.encode())
    return "".join(parts)


def mixed_text(special_tokens, seed=1):
    rng = random.Random(seed)
    parts = []
    for name, size in (("code", 250_000), ("multilingual", 290_000), ("c4", 120_000), ("technical", 100_000),
                       ("wiki", 60_000)):
        with open(DATA / "data" / "calib" / (name + ".utf8"), "rb") as file:
            parts.append(file.read(size).decode("utf-8", errors="replace"))
    parts.append(random_text(rng, 200_000, special_tokens))
    return "".join(parts)


def added(content, identifier, **flags):
    token = {"id": identifier, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": False}
    return {**token, **flags}


# The real tokenizers with other components in them, for what none of them has: (name, file, change).
def metaspace_first(tokenizer):
    tokenizer["normalizer"] = None
    tokenizer["pre_tokenizer"] = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True}


def metaspace_always(tokenizer):
    tokenizer["normalizer"] = None
    tokenizer["pre_tokenizer"] = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always",
                                  "split": False}


def prefix_space(tokenizer):
    tokenizer["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                                  "use_regex": True}


def digits_and_added(tokenizer):
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}]}
    ids = tokenizer["model"]["vocab"]  # a token of the vocabulary keeps its id when it is added
    tokenizer["added_tokens"] += [
        added("return", ids["return"], single_word=True, normalized=True),
        added("<sp>", 151646, lstrip=True, rstrip=True), added("the", ids["the"], rstrip=True, single_word=True),
        added("\u00e9e\u0301", 151647, normalized=True), added("<sp><sp>", 151648, special=True),
        added("\u4e2d\u6587", 151649, lstrip=True)]


VARIANTS = [
    ("metaspace_first", "stories260K-hf/tokenizer.json", metaspace_first),
    ("metaspace_always", "stories260K-hf/tokenizer.json", metaspace_always),
    ("prefix_space", "tok-llama3/tokenizer.json", prefix_space),
    ("digits_and_added", "tok-qwen2/qwen2.tokenizer.json", digits_and_added),
]


def ours(folder, tokenizer_json, text, *flags):
    directory = folder / "ours"
    directory.mkdir(exist_ok=True)
    shutil.copy(tokenizer_json, directory / "tokenizer.json")
    (directory / "text").write_bytes(text.encode())
    return [int(line) for line in run(tool("tokenize"), directory, directory / "text", *flags).split()]


def compare(name, tokenizer_json, folder):
    reference = Tokenizer.from_file(str(tokenizer_json))
    reference.no_truncation()
    reference.no_padding()
    special = [token["content"] for token in json.loads(tokenizer_json.read_text(encoding="utf-8"))["added_tokens"]]
    text = mixed_text(special)
    for flags in ((), ("--add-special",)):
        expected, found = reference.encode(text, add_special_tokens=bool(flags)).ids, ours(folder, tokenizer_json, text, *flags)
        detail = f"{len(text.encode())} bytes, {len(expected)} ids equal"
        if expected != found:
            at = next((i for i, (a, b) in enumerate(zip(expected, found)) if a != b), min(len(expected), len(found)))
            detail = (f"differs at token {at} of {len(expected)} (ours {len(found)}): "
                      f"expected {expected[at:at + 8]} = {reference.decode(expected[max(at - 4, 0):at + 8])!r}, "
                      f"found {found[at:at + 8]} = {reference.decode(found[max(at - 4, 0):at + 8])!r}")
        check(" ".join((name, *flags)), expected == found, detail)


def body(folder):
    if not DATA:
        return skip("everything: ECLD_TEST_DATA is not set")
    for name in TOKENIZERS:
        compare(name, DATA / "models" / name, folder)
    for name, source, change in VARIANTS:
        tokenizer = json.loads((DATA / "models" / source).read_text(encoding="utf-8"))
        change(tokenizer)
        (folder / name).write_text(json.dumps(tokenizer), encoding="utf-8")
        compare(name, folder / name, folder)


if __name__ == "__main__":
    main(body, "tokenize")
