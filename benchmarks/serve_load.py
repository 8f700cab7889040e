#!/usr/bin/env python3
"""Load for `ecld-device serve`: many clients at once, with malformed requests and clients that leave mixed in.

    benchmarks/serve_load.py --program build/release/ecld-device --model DIR --clients 64 --seconds 600

Starts the server, asks until the time is over, stops the server, and reports how many requests were answered, refused
with a reason, left by the client, or failed (no answer, a broken one, no reason), and the server's memory. The load comes
in rounds; between them the server rests, and what it still holds then may not grow.
Exits with 1 when a request failed, the server ended badly, or its memory grew."""
import argparse
import collections
import contextlib
import http.client
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time

TEXT = ("the end of the story was not what anyone on the ship had expected and so they went back to the island where it "
        "all began with nothing but a map and an old lamp ").split()
GARBAGE = (b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x00\xa5\x01\x00\x00", b"\x00" * 64,
           b"POST /v1/completions HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"A" * 40_000)


class Client(threading.Thread):
    """Asks one thing after another. counts: outcome -> how often; failures: what went wrong."""

    def __init__(self, address, seed, deadline, options):
        super().__init__(daemon=True)
        self.address, self.random, self.deadline = address, random.Random(seed), deadline
        self.max_words, self.patience_s = options.max_words, options.patience
        self.counts, self.failures, self.tokens = collections.Counter(), [], 0

    def run(self):
        while time.monotonic() < self.deadline:
            kind = self.random.choices((self.whole, self.stream, self.leave, self.malformed, self.garbage),
                                       (35, 35, 10, 15, 5))[0]
            try:
                outcome = kind()
            except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
                outcome = f"failed: {kind.__name__}: {type(error).__name__} {error}"
            self.counts[outcome.split(":")[0]] += 1
            if outcome.startswith("failed"):
                self.failures.append(outcome)
            if outcome == "refused: 429":
                time.sleep(0.05)

    def words(self):
        """Lengths spread evenly over their logarithm: many short prompts, a few that fill the context."""
        return " ".join(self.random.choices(TEXT, k=round(self.max_words ** self.random.random())))

    def body(self, **more):
        body = {"model": "model", "max_tokens": self.random.randint(1, 64), "temperature": self.random.choice((0, 0.8)),
                "seed": self.random.randint(0, 9), **more}
        if self.random.random() < 0.2:
            body["stop"] = ["the", "\n"]
        if self.random.random() < 0.1:
            body["n"] = 2
        if self.random.random() < 0.5:
            body["messages"] = [{"role": "user", "content": self.words()}]
            return "/v1/chat/completions", body
        body["prompt"] = self.words()
        if self.random.random() < 0.2:
            body.update(logprobs=3, echo=True)
        return "/v1/completions", body

    def ask(self, path, content):
        if isinstance(content, dict):
            content = json.dumps(content)
        connection = http.client.HTTPConnection(*self.address, timeout=self.patience_s)
        connection.request("POST", path, content, {"Content-Type": "application/json"})
        return connection, connection.getresponse()

    def refused(self, response):
        error = json.loads(response.read())["error"]
        return f"refused: {response.status}" if error["message"] else "failed: refused without a reason"

    def whole(self):
        connection, response = self.ask(*self.body())
        with contextlib.closing(connection):
            if response.status != 200:
                return self.refused(response)
            answer = json.loads(response.read())
            self.tokens += answer["usage"]["completion_tokens"]
            good = all(choice["finish_reason"] in ("stop", "length") for choice in answer["choices"])
            return "answered" if good else "failed: no reason to finish"

    def stream(self):
        connection, response = self.ask(*self.body(stream=True, stream_options={"include_usage": True}))
        with contextlib.closing(connection):
            if response.status != 200:
                return self.refused(response)
            events = response.read().decode().split("\n\n")
            if "data: [DONE]" in events:
                self.tokens += json.loads(events[-3][6:])["usage"]["completion_tokens"]
                return "answered"
            if '"error"' in events[-2]:
                return "refused: in the stream"
            return "failed: a stream without an end"

    def leave(self):
        """Asks for much and goes: before the answer, or in the middle of it."""
        path, body = self.body(stream=self.random.random() < 0.5)
        body["max_tokens"] = 200
        content = json.dumps(body).encode()
        with socket.create_connection(self.address, timeout=self.patience_s) as peer:
            head = f"POST {path} HTTP/1.1\r\nContent-Length: {len(content)}\r\n\r\n".encode()
            sent = head + content
            if self.random.random() < 0.3:
                sent = sent[:self.random.randint(1, len(sent))]
            peer.sendall(sent)
            time.sleep(self.random.random() * 0.2)
        return "left"

    def malformed(self):
        path, body = self.body()
        change = self.random.randrange(6)
        if change == 0:
            content = json.dumps(body)[:-self.random.randint(1, 9)]
        elif change == 1:
            content = json.dumps({**body, self.random.choice(list(body)): self.random.choice(([], {}, True, -1, "x" * 999))})
        elif change == 2:
            content = json.dumps({**body, "no_such_parameter": 1})
        elif change == 3:
            content = "[" * 5000
        elif change == 4:
            content = json.dumps({**body, "max_tokens": 10 ** 9})
        else:
            content = bytes(self.random.randrange(256) for _ in range(200))
        connection, response = self.ask(path, content)
        with contextlib.closing(connection):
            return "answered" if response.status == 200 and response.read() else self.refused(response)

    def garbage(self):
        with socket.create_connection(self.address, timeout=self.patience_s) as peer:
            peer.sendall(self.random.choice(GARBAGE))
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(65536):
                pass
        return "left"


def resident_kB(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))


def load(server, address, options, seed):
    """All clients for seconds / rounds; (clients, the most memory while they ask, memory once they are done) in MB."""
    begin = time.monotonic()
    clients = [Client(address, seed + i, begin + options.seconds / options.rounds, options)
               for i in range(options.clients)]
    for client in clients:
        client.start()
    most = 0
    while any(client.is_alive() for client in clients) and server.poll() is None:
        most = max(most, resident_kB(server.pid) / 1000)
        time.sleep(0.5)
    time.sleep(2)
    rest = resident_kB(server.pid) / 1000 if server.poll() is None else float("nan")
    print(f"{time.monotonic() - begin:6.0f} s  anonymous memory at most {most:.1f} MB, at rest {rest:.1f} MB", flush=True)
    return clients, rest


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="ecld-device")
    parser.add_argument("--model", required=True, help="checkpoint directory")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=600, help="all rounds together")
    parser.add_argument("--rounds", type=int, default=5, help="between which no client asks, so that memory can be compared")
    parser.add_argument("--max-words", type=int, default=40, help="of the longest prompt")
    parser.add_argument("--patience", type=float, default=120, help="seconds without a byte after which a client fails")
    parser.add_argument("--growth", type=float, default=1.1, help="memory at rest, last round over first, at most")
    parser.add_argument("flags", nargs="*", help="more flags of the server, after --")
    options = parser.parse_args()
    server = subprocess.Popen([options.program, "serve", options.model, "--port", "0", "--name", "model", "-q",
                               *options.flags], stdout=subprocess.PIPE, text=True)
    host, port = server.stdout.readline().strip().removeprefix("http://").rsplit(":", 1)
    clients, rests = [], []
    for turn in range(options.rounds):
        asked, rest = load(server, (host, int(port)), options, turn * options.clients)
        clients += asked
        rests.append(rest)
    died = server.poll() is not None
    if not died:
        server.send_signal(signal.SIGTERM)
        server.wait(60)

    counts = sum((client.counts for client in clients), collections.Counter())
    failures = [failure for client in clients for failure in client.failures]
    print(f"{options.clients} clients, {options.seconds:.0f} s: " +
          ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())) +
          f"; {sum(client.tokens for client in clients)} tokens")
    for failure, count in collections.Counter(failures).most_common(10):
        print(f"  {count} x {failure}")
    growth = rests[-1] / rests[0]
    print(f"memory at rest after the last round over that after the first: {growth:.2f}; exit status {server.returncode}")
    sys.exit(1 if died or failures or server.returncode != 0 or not growth <= options.growth else 0)


main()
