"""Compares tokenizers, id for id and back to text, with Hugging Face's: every component of tokenizer.json on small
tokenizers trained here, and directories whose files disagree in all ways that transformers resolves.

Components are compared with tokenizers' own reading of the same file, directories with transformers' AutoTokenizer.
Texts are seeded random strings (tokenizer_oracle.py).
"""
import base64
import collections
import itertools
import json
import math
import random
import sys

from compare import check, main, run, tool
from tokenizer_oracle import added, random_text

import sentencepiece
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = ["<unk>", "<s>", "</s>"]
MARK = "\u2581"


def texts(count=60, size=60, special=tuple(SPECIAL), seed=1):
    rng = random.Random(seed)
    fixed = ["", " ", "a", " a  b ", "Hello <s>world</s> <pad>x", "\u1e9b\u0323 \ufb01 \u2460 \u3392 \u0130I\u03a3\u03c3",
             "a\u0300\u0316b \u00e5\u212b", "\u0000\u0001\t\u007f\u200b\ufeff"]
    return fixed + [random_text(rng, rng.randrange(1, size), list(special)) for _ in range(count)]


def corpus():
    rng = random.Random(7)
    words = "the of and token Model 123 4567 caf\u00e9 na\u00efve \u4f60\u597d \u0645\u0631 foo_bar don't x1".split()
    return [" ".join(rng.choice(words) for _ in range(12)) for _ in range(200)] + [text for text in texts(special=("x",), seed=2) if "<" not in text]


def unigram_pieces(count):
    """(piece, score) of strings that words of the corpus share, those that cover most of it first.

    The trainer of tokenizers goes through hash maps, so that its pieces and scores differ from run to run. Scores here
    are whole 64ths: sums of them are exact, and two ways to cut a word that are equally good (as "a" and "aa" are in
    either order) are so to the last bit for both readers, who then take the same.
    """
    seen = collections.Counter()
    for text in corpus():
        for word in (MARK + part for part in text.split(" ")):
            seen.update(word[begin:end] for begin in range(len(word))
                        for end in range(begin + 1, min(begin + 8, len(word)) + 1))
    pieces = sorted((piece for piece in seen if seen[piece] > 2), key=lambda piece: (-seen[piece] * len(piece), piece))
    total = sum(seen[piece] for piece in pieces[:count])
    return [(piece, round(64 * math.log(seen[piece] / total)) / 64) for piece in pieces[:count]]


def trained(kind):
    """A small tokenizer of a kind as JSON: "bytes", "pieces" (BPE with byte fallback), "unigram"."""
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.BPE())
    if kind == "bytes":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=SPECIAL, show_progress=False,
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=SPECIAL + fallback, show_progress=False)
    if kind == "unigram":
        tokenizer.add_special_tokens(SPECIAL)
        vocabulary = [(piece, 0.0) for piece in SPECIAL + fallback]
        tokenizer.model = models.Unigram(vocabulary + unigram_pieces(300), unk_id=0)
    else:
        tokenizer.train_from_iterator(corpus(), trainer)
    result = json.loads(tokenizer.to_str())
    result["added_tokens"] = result["added_tokens"][:3]
    if kind != "bytes":
        result["model"]["byte_fallback"] = True
    if kind == "pieces":
        result["model"].update(unk_token="<unk>", fuse_unk=True)
    return result


def charsmap(rule):
    """The table in the model proto of a sentencepiece normalizer: field 3 (normalizer_spec), in it field 2."""
    proto = sentencepiece.SentencePieceNormalizer(rule_name=rule).serialized_model_proto()

    def field(data, number):
        at = 0

        def varint():
            nonlocal at
            value = shift = 0
            while True:
                byte = data[at]
                at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value

        while at < len(data):
            key = varint()
            if key & 7 == 2:
                size = varint()
                if key >> 3 == number:
                    return data[at:at + size]
                at += size
            elif key & 7 == 5:
                at += 4
            else:
                varint()
        raise ValueError(f"field {number} is not there")

    return base64.b64encode(field(field(proto, 3), 2)).decode()


def components():
    """(section, value) for every component and option."""
    for kind in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt"):
        yield "normalizer", {"type": kind}
    for left, right in itertools.product((False, True), repeat=2):
        yield "normalizer", {"type": "Strip", "strip_left": left, "strip_right": right}
    yield "normalizer", {"type": "Prepend", "prepend": MARK}
    yield "normalizer", {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": MARK}
    yield "normalizer", {"type": "Replace", "pattern": {"String": "a"}, "content": "bb"}
    yield "normalizer", {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"},
                                                             {"type": "Lowercase"}]}
    for rule in ("nmt_nfkc", "nfkc_cf"):
        yield "normalizer", {"type": "Precompiled", "precompiled_charsmap": charsmap(rule)}
    behaviors = ("Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous")
    for behavior, invert in itertools.product(behaviors, (False, True)):
        for pattern in ({"String": " "}, {"Regex": "\\p{L}+|\\d"}):
            yield "pre_tokenizer", {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}
    for behavior in behaviors:
        yield "pre_tokenizer", {"type": "Punctuation", "behavior": behavior}
    for kind in ("Whitespace", "WhitespaceSplit", "BertPreTokenizer"):
        yield "pre_tokenizer", {"type": kind}
    yield "pre_tokenizer", {"type": "CharDelimiterSplit", "delimiter": "a"}
    for single in (False, True):
        yield "pre_tokenizer", {"type": "Digits", "individual_digits": single}
    for scheme, split in itertools.product(("always", "first", "never"), (False, True)):
        yield "pre_tokenizer", {"type": "Metaspace", "replacement": MARK, "prepend_scheme": scheme, "split": split}
    for prefix, regex in itertools.product((False, True), repeat=2):
        yield "pre_tokenizer", {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True,
                                "use_regex": regex}
    for kind in ("RobertaProcessing", "BertProcessing"):
        more = {"trim_offsets": True, "add_prefix_space": False} if kind == "RobertaProcessing" else {}
        yield "post_processor", {"type": kind, "sep": ["</s>", 2], "cls": ["<s>", 1], **more}
    replace = {"type": "Replace", "pattern": {"String": MARK}, "content": " "}
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    yield "decoder", {"type": "Sequence", "decoders": [replace, {"type": "ByteFallback"}, {"type": "Fuse"}]}
    yield "decoder", {"type": "Sequence", "decoders": [replace, {"type": "ByteFallback"}, {"type": "Fuse"}, strip]}
    for scheme in ("always", "never"):
        yield "decoder", {"type": "Metaspace", "replacement": MARK, "prepend_scheme": scheme, "split": True}


def flags():
    for single, left, right, normalized, special in itertools.product((False, True), repeat=5):
        yield {"single_word": single, "lstrip": left, "rstrip": right, "normalized": normalized, "special": special}


def ours(directory, samples):
    (directory / "texts").write_text(json.dumps(samples), encoding="utf-8")
    return [json.loads(line) for line in run(tool("tokenize"), directory, directory / "texts", "--texts").splitlines()]


def first_difference(samples, expected, found):
    for text, theirs, own in zip(samples, expected, found):
        if list(theirs) != list(own):
            return f"{text!r}: expected {theirs}, found {own}"
    return None


def compare_file(folder, tokenizer_json, samples, decode):
    """The first difference to tokenizers on the file, or None."""
    directory = folder / "file"
    directory.mkdir(exist_ok=True)
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer_json), encoding="utf-8")
    reference = Tokenizer.from_str(json.dumps(tokenizer_json))
    expected = []
    for text in samples:
        ids = reference.encode(text).ids
        expected.append([ids, reference.decode(ids), reference.decode(ids, skip_special_tokens=False)])
    try:
        found = ours(directory, samples)
    except RuntimeError as error:
        return str(error)
    if not decode:
        expected, found = ([line[:1] for line in lines] for lines in (expected, found))
    return first_difference(samples, expected, found)


def compare_components(folder):
    samples = texts()
    for kind in ("bytes", "pieces", "unigram"):
        base = trained(kind)
        detail, count = compare_file(folder, base, samples, True), 1
        for section, value in components():
            variant = json.loads(json.dumps(base))
            if kind == "bytes" and section == "pre_tokenizer" and value["type"] != "ByteLevel":
                value = {"type": "Sequence", "pretokenizers": [value, base["pre_tokenizer"]]}
            if kind == "bytes" and section == "decoder":
                continue
            if kind != "bytes" and value["type"] == "ByteLevel":
                continue
            variant[section] = value
            count += 1
            # Text is compared where the decoder is the base's inverse; bytes that are no characters have no one way.
            problem = compare_file(folder, variant, samples, section == "decoder")
            detail = detail or (problem and f"{section} {json.dumps(value)[:200]}: {problem}")
        for value in flags():
            variant = json.loads(json.dumps(base))
            size = len(base["model"]["vocab"])
            variant["added_tokens"] += [added("<pad>", size, **value), added("Hello", size + 1, **value),
                                        added("x\u00e5", size + 2, **value)]
            count += 1
            problem = compare_file(folder, variant, samples, False)
            detail = detail or (problem and f"added tokens with {value}: {problem}")
        check(f"components, {kind}", detail is None, detail or f"{count} tokenizers, {len(samples)} texts each")


def token(content, **flags_):
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": True, **flags_}


# Classes that fit a kind of vocabulary; transformers' ids for others are of no use.
CLASSES = {"bytes": ("PreTrainedTokenizerFast", "LlamaTokenizer", "LlamaTokenizerFast", "Qwen2Tokenizer",
                     "Qwen2TokenizerFast", "GPT2Tokenizer", "GPTNeoXTokenizerFast", "CohereTokenizer",
                     "TokenizersBackend", "PreTrainedTokenizer"),
           "pieces": ("PreTrainedTokenizerFast", "LlamaTokenizer", "LlamaTokenizerFast", "CodeLlamaTokenizer",
                      "GemmaTokenizerFast", "Phi3Tokenizer", "TokenizersBackend")}


def random_directory(rng, kind, base, folder):
    """Writes tokenizer.json of base and random files beside it."""
    for path in folder.iterdir():
        path.unlink()
    tokenizer = json.loads(json.dumps(base))
    size = len(tokenizer["model"]["vocab"])
    names = ["<pad>", "<extra>", "<|im_start|>", "<sep>"]
    if rng.random() < 0.5:
        step = rng.choice((0, 0, 3))  # a hole before the ids
        tokenizer["added_tokens"] += [added(name, size + i + step, special=rng.random() < 0.5)
                                      for i, name in enumerate(rng.sample(names, 2))]
    if rng.random() < 0.3:
        tokenizer["normalizer"] = {"type": rng.choice(("NFKC", "Lowercase"))}
    if rng.random() < 0.3:
        tokenizer["post_processor"] = {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1],
                                       "trim_offsets": True, "add_prefix_space": False}
    model_type = rng.choice(("llama", "mistral", "qwen2", "qwen3") if kind == "bytes" else
                            ("llama", "mistral", "gemma3_text"))
    config, side = {}, {}
    for role in ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "image_token"):
        if rng.random() < 0.4:
            config[role] = rng.choice(SPECIAL + names)
        elif rng.random() < 0.1 and role != "image_token":
            config[role] = None
        if rng.random() < 0.2 and role != "image_token":
            side[role] = rng.choice((rng.choice(names), {k: v for k, v in token(rng.choice(names)).items()
                                                         if k != "special"}))
    if rng.random() < 0.3:
        config[rng.choice(("additional_special_tokens", "extra_special_tokens"))] = rng.sample(names, 2)
    if rng.random() < 0.2:
        side["additional_special_tokens"] = rng.sample(names, 1)
    for key in ("legacy", "add_prefix_space", "add_bos_token", "add_eos_token"):
        if rng.random() < 0.3:
            config[key] = rng.random() < 0.5
    if rng.random() < 0.1:
        config["split_special_tokens"] = True
    if rng.random() < 0.8:
        config["tokenizer_class"] = rng.choice(CLASSES[kind])
    if rng.random() < 0.4:
        config["added_tokens_decoder"] = {str(i): token(name) for i, name in enumerate(SPECIAL)}
        for i, name in enumerate(rng.sample(names, rng.randrange(3))):
            config["added_tokens_decoder"][str(size + i)] = token(name, lstrip=rng.random() < 0.3,
                                                                  special=rng.random() < 0.5)
    if rng.random() < 0.3:
        picked = rng.sample(names, 2)
        (folder / "added_tokens.json").write_text(json.dumps({name: size + i for i, name in enumerate(picked)}))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    if rng.random() < 0.9:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    if side:
        (folder / "special_tokens_map.json").write_text(json.dumps(side))
    return {"model_type": model_type, **config, "special_tokens_map": side}


def compare_directories(folder, count=90):
    from transformers import AutoTokenizer
    directory = folder / "directory"
    directory.mkdir()
    samples = texts(count=25, special=(*SPECIAL, "<pad>", "<extra>", "<|im_start|>", "<sep>"))
    for kind in ("bytes", "pieces"):
        base, detail = trained(kind), None
        for seed in range(count):
            files = random_directory(random.Random(seed), kind, base, directory)
            try:
                reference = AutoTokenizer.from_pretrained(directory)
            except Exception as error:  # what transformers does not take has no right ids
                print(f"seed {seed}: transformers refuses it ({type(error).__name__}: {error})", file=sys.stderr)
                continue
            expected = [[reference(text).input_ids] for text in samples]
            try:
                found = [line[:1] for line in ours(directory, samples)]
                problem = first_difference(samples, expected, found)
                roles = json.loads(run(tool("tokenize"), directory, directory / "texts", "--roles"))
                if roles != reference.special_tokens_map:
                    problem = f"special tokens {reference.special_tokens_map}, found {roles}"
            except RuntimeError as error:
                problem = str(error)
            detail = detail or (problem and f"seed {seed}, {json.dumps(files)}: {problem}")
        check(f"directories, {kind}", detail is None, detail or f"{count} directories, {len(samples)} texts each")


def body(folder):
    compare_components(folder)
    compare_directories(folder)


if __name__ == "__main__":
    main(body, "tokenize")
