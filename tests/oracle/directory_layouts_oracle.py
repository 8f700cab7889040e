"""Directories and configs as people have them: the logits are those of transformers, which decides what is meant.

Tensors under the names of a base model, a head stored beside tie_word_embeddings, an index beside model.safetensors,
keys that are absent or disagree. Each is made from a tiny checkpoint, and read by both.
"""
import json

from safetensors.torch import load_file, save_file
from transformers import AutoModel

from compare import check, main, near, our_logits, reference, reference_logits, run, tiny_checkpoint, tool

IDS = [1, 40, 77, 5, 120, 200, 33, 34, 250, 3, 18, 99, 64, 7, 140, 201, 14, 15, 90, 222, 111, 60, 8, 270]


def edit(model, **keys):
    """config.json with these keys; ... takes one away."""
    path = model / "config.json"
    config = json.loads(path.read_text())
    config.update(keys)
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not ...}))


def tensors(model):
    return {name: tensor for shard in model.glob("*.safetensors") for name, tensor in load_file(shard).items()}


def save_whole(model, content):
    """One file in place of the shards; the index, which is stale then, stays."""
    for shard in model.glob("*.safetensors"):
        shard.unlink()
    save_file(content, model / "model.safetensors", metadata={"format": "pt"})


def notes(model):
    run(tool("ecld-device"), "inspect", model, "--json", model / "inspect.json")
    return json.loads((model / "inspect.json").read_text())["notes"]


def compare(name, model, *, told=""):
    near(f"{name}: logits", our_logits("dump_logits", model, IDS), reference_logits(reference(model), IDS), 1e-4)
    said = notes(model)
    check(f"{name}: what is told", any(told in note for note in said) if told else not said, "; ".join(said))


def layouts(directory):
    model = tiny_checkpoint(directory / "base", tied=True)
    AutoModel.from_pretrained(model).save_pretrained(directory / "base-saved")
    compare("saved by AutoModel", directory / "base-saved", told="and read as \"model.layers.0.input_layernorm.weight\"")

    model = tiny_checkpoint(directory / "untied")
    edit(model, tie_word_embeddings=True)
    compare("another head is stored beside tie_word_embeddings", model, told="they are not tied")
    content = tensors(model)
    content["lm_head.weight"] = content["model.embed_tokens.weight"].clone()
    save_whole(model, content)
    (model / "model.safetensors.index.json").unlink()
    compare("the same head is stored beside tie_word_embeddings", model)

    model = tiny_checkpoint(directory / "index")
    other = tensors(tiny_checkpoint(directory / "other", seed=2))
    save_file(other, model / "model.safetensors", metadata={"format": "pt"})
    compare("model.safetensors beside an index and its shards", model, told="model.safetensors is there, and comes first")


def configs(directory):
    window = {"family": "mistral", "sliding_window": 8}
    model = tiny_checkpoint(directory / "layer_types", **window)
    edit(model, layer_types=["full_attention", "sliding_attention"])
    compare("mistral with layer_types", model, told="layer_types is taken")
    model = tiny_checkpoint(directory / "max_window_layers", family="qwen2", sliding_window=8)
    edit(model, layer_types=["sliding_attention", "full_attention"])
    compare("qwen2 with layer_types and max_window_layers", model, told="not max_window_layers")

    model = tiny_checkpoint(directory / "absent", family="mistral", num_heads=16, num_kv_heads=8, head_dim=8)
    edit(model, num_key_value_heads=..., rms_norm_eps=..., max_position_embeddings=..., hidden_act="swish")
    compare("mistral with its defaults, and swish", model)

    model = tiny_checkpoint(directory / "dtype")
    edit(model, dtype="float32", torch_dtype="bfloat16")
    compare("dtype beside torch_dtype", model, told="dtype is taken")


def body(directory):
    layouts(directory)
    configs(directory)


if __name__ == "__main__":
    main(body, "ecld-device", "tiny_checkpoint", "dump_logits")
