"""Every field that transformers defines for the JSON files of a model is in ECLD's tables.

The fields are those of the classes: dataclass fields and what to_dict writes for config.json and generation_config.json,
parameters and the keys that the constructors take for tokenizer_config.json. Each file gets all of them, null where it
has no value, and `inspect` must not list one as unknown. A field of a newer transformers fails here, not at a user's.
"""
import dataclasses
import inspect
import json
import re

from transformers import (Gemma3TextConfig, GenerationConfig, LlamaConfig, LlamaTokenizer, MistralConfig, PreTrainedTokenizerBase,
                          PreTrainedTokenizerFast, Qwen2Config, Qwen2Tokenizer, Qwen3Config)

from compare import check, main, run, tiny_checkpoint, tool

CONFIGS = {"llama": LlamaConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config, "mistral": MistralConfig,
           "gemma3_text": Gemma3TextConfig}
# What the constructors of tokenizers are called with by other code, never by a file.
CALLED_WITH = {"self", "args", "kwargs", "tokenizer_object", "gguf_file", "post_processor", "tokenizer"}
UNKNOWN = re.compile(r"^(\S+): fields that are not known and passed over: (.*)$")


def config_fields(cls):
    return {field.name for field in dataclasses.fields(cls)} | set(cls().to_dict()) | {"per_layer_config"}


def generation_fields():
    config = GenerationConfig()
    return set(vars(config)) | set(config.to_dict()) | set(config._get_default_generation_params())


def tokenizer_fields():
    fields = set(PreTrainedTokenizerBase.SPECIAL_TOKENS_ATTRIBUTES)
    for cls in (LlamaTokenizer, Qwen2Tokenizer, PreTrainedTokenizerFast, PreTrainedTokenizerBase):
        fields |= set(inspect.signature(cls.__init__).parameters)
        for method in (cls.__init__, cls.save_pretrained):
            fields |= set(re.findall(r'kwargs\.(?:pop|get|setdefault)\("(\w+)"', inspect.getsource(method)))
            fields |= set(re.findall(r'tokenizer_config\["(\w+)"\]', inspect.getsource(method)))
    calls = {"commit_message", "repo_id", "token", "save_jinja_files"}  # of save_pretrained
    return {field for field in fields - CALLED_WITH - calls if not field.startswith("_json") and
            not field.startswith("_spm")}


def extend(path, fields):
    content = json.loads(path.read_text()) if path.exists() else {}
    content.update({field: None for field in fields if field not in content})
    path.write_text(json.dumps(content))


def unknown_fields(directory):
    run(tool("ecld-device"), "inspect", directory, "--json", directory / "inspect.json")
    found = {}
    for note in json.loads((directory / "inspect.json").read_text())["notes"]:
        if match := UNKNOWN.match(note):
            found[match[1]] = set(match[2].split(", "))
    return found


def body(directory):
    generation, tokenizer = generation_fields(), tokenizer_fields()
    check("the classes have fields", len(generation) > 50 and len(tokenizer) > 20, f"{len(generation)}, {len(tokenizer)}")
    for family, cls in CONFIGS.items():
        model = tiny_checkpoint(directory / family, family=family)
        extend(model / "config.json", config_fields(cls) | {"of_no_class"})
        extend(model / "generation_config.json", generation | {"of_no_class"})
        extend(model / "tokenizer_config.json", tokenizer | {"of_no_class"})
        found = unknown_fields(model)
        for file in ("config.json", "generation_config.json", "tokenizer_config.json"):
            names = found.get(file, set())
            check(f"{family}: {file}: all fields of {cls.__name__} and its tokenizer are in the tables",
                  names == {"of_no_class"}, f"not known: {', '.join(sorted(names - {'of_no_class'}))}")


if __name__ == "__main__":
    main(body, "ecld-device", "tiny_checkpoint")
