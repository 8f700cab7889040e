"""What each prune pass writes, exported to GGUF, in llama.cpp (package llama-cpp-python): its logits against ours.
Heads of a qwen2 it takes to be as wide as the states: the export refuses to write what it would not load.
"""
import numpy as np

import compare
import export_llama_cpp_slow_oracle
import export_oracle
import passes_oracle

STAGES = {"ffn": "{pass: prune.ffn, ratio: 0.34, multiple_of: 32}",
          "heads": "{pass: prune.heads, heads: 2}",
          "groups": "{pass: prune.heads, kv_heads: 1}",
          "layers": "{pass: prune.layers, remove: 2}",
          "vocab": "{pass: prune.vocab, tokens: 272, multiple_of: 2}"}
FAMILIES = {"llama": {}, "qwen2": {"family": "qwen2", "tied": True}, "qwen3": {"family": "qwen3", "head_dim": 32},
            "mistral": {"family": "mistral"}}


def body(folder):
    generator = np.random.default_rng(5)
    text = folder / "text"
    text.write_bytes(bytes(generator.integers(97, 123, 4000, dtype=np.uint8)))
    for family, options in FAMILIES.items():
        source = compare.tiny_checkpoint(folder / family, dtype="BF16", num_layers=4, hidden_size=128,
                                         intermediate_size=192, **options)
        for what, stage in STAGES.items():
            name = f"{family}-{what}"
            pruned = passes_oracle.compress(source, folder / name, text, f"  - {stage}\n")
            if family == "qwen2" and what in ("heads", "groups"):
                try:
                    export_oracle.export(pruned, "gguf", folder / f"{name}.gguf")
                    compare.check(f"{name}: refused", False, "was written")
                except RuntimeError as error:
                    compare.check(f"{name}: refused", "would not load the file" in str(error),
                                  str(error)[-200:].strip())
                continue
            path = export_oracle.export(pruned, "gguf", folder / f"{name}.gguf")
            ids = generator.integers(0, 272, 100).tolist()
            export_oracle.compare_logits(name, export_llama_cpp_slow_oracle.llama_logits(path, ids), pruned, ids,
                                         export_llama_cpp_slow_oracle.MAX_KL_TINY)


if __name__ == "__main__":
    compare.main(body, "ecld", "dump_logits", "tiny_checkpoint", package="llama_cpp")
