#!/usr/bin/env python3
"""ECLD beside llama.cpp on this machine: the same checkpoint, the same bytes per weight, the same number of threads.

    llama_cpp.py build                                     llama.cpp from the source package of llama-cpp-python
    llama_cpp.py model smollm2-135m --from DIR             a checkpoint in the four forms that are compared
    llama_cpp.py model llama-3.2-1b --config CONFIG.json --tokenizer DIR     random weights of these shapes
    llama_cpp.py measure [--only '*q4*'] [--pairs 5]       runs of both in turn; adds to what was measured before
    llama_cpp.py report [--json FILE]                      medians, spread, and the ratio of each pair

Everything lies under --work. The build takes about ten minutes on two cores and 300 MB (source 77 MB to download);
it is made once for a version. `model` and `measure` need the programs of --build (ecld, ecld-device,
random_checkpoint), `model` also the Python packages of the tests (scripts/setup.sh --tests) for llama.cpp's converter.
`measure` wants a quiet machine: a small part at a time, with --only and --pairs, is fine. Who goes first alternates.

A line of the report is a test as llama-bench names it: ppN reads N prompt tokens, tgN continues by N tokens, B is the
number of sequences at once, @ dN the tokens of context that are there already. One sequence is measured with
llama-bench, several with llama-batched-bench. Both programs warm up before they count. Tokens per second; the ratio is
ours over llama.cpp's, the median of the pairs, and the smallest and largest in brackets.
"""
import argparse
import collections
import fnmatch
import hashlib
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

VERSION = "0.3.36"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
SOURCE = f"llama_cpp_python-{VERSION}"
TOOLS = ["llama-bench", "llama-batched-bench", "llama-quantize", "llama-imatrix"]
FORMATS = {"bf16": ("dense", "bf16.gguf"), "q4": ("w4", "q4_0.gguf")}  # ours, llama.cpp's
BYTES_TOLERANCE = 0.02

# tok: of one sequence; depth: tokens that are there before.
Test = collections.namedtuple("Test", "name decode tok batch depth")
TESTS = [Test("pp512", False, 512, 1, 0), Test("tg128", True, 128, 1, 0), Test("tg128 @ d512", True, 128, 1, 512),
         Test("pp128 B4", False, 128, 4, 0), Test("tg32 B4 @ d128", True, 32, 4, 128),
         Test("pp64 B16", False, 64, 16, 0), Test("tg32 B16 @ d64", True, 32, 16, 64)]


def fail(message):
    sys.exit(f"llama_cpp.py: error: {message}")


def run(*command, **options):
    """Runs a program; its stdout. What it said on stderr is shown when it fails."""
    command = [str(part) for part in command]
    result = subprocess.run(command, capture_output=True, text=True, **options)
    if result.returncode != 0:
        fail(f"{' '.join(command)} exited with {result.returncode}:\n{result.stderr[-3000:]}")
    return result.stdout


# --- build

def source_of(args):
    return args.work / SOURCE / "vendor" / "llama.cpp"


def tool(args, name):
    path = args.work / f"llama.cpp-{VERSION}" / "bin" / name
    return path if path.exists() else fail(f"{path} is missing; run `llama_cpp.py build` first")


def download(args):
    archive = args.work / f"{SOURCE}.tar.gz"
    if not archive.exists():
        run(sys.executable, "-m", "pip", "download", f"llama-cpp-python=={VERSION}", "--no-binary", "llama-cpp-python",
            "--no-deps", "--dest", args.work)
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        fail(f"{archive} is not the package that this script was written for; remove it")
    shutil.rmtree(args.work / SOURCE, ignore_errors=True)
    run("tar", "--extract", "--file", archive, "--directory", args.work)


def build(args):
    args.work.mkdir(parents=True, exist_ok=True)
    target = args.work / f"llama.cpp-{VERSION}"
    if all((target / "bin" / name).exists() for name in TOOLS) and source_of(args).exists():
        return print(f"{target} is there already")
    download(args)
    run("cmake", "-S", source_of(args), "-B", target, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
        "-DBUILD_SHARED_LIBS=OFF", "-DGGML_NATIVE=ON", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF",
        "-DLLAMA_BUILD_SERVER=OFF", "-DLLAMA_BUILD_APP=OFF", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_USE_PREBUILT_UI=OFF")
    subprocess.run(["cmake", "--build", str(target), "--target", *TOOLS], check=True)


# --- the checkpoint in four forms

def model(args):
    home = args.work / "models" / args.name
    home.mkdir(parents=True, exist_ok=True)
    dense, ours = home / "dense", home / "w4"
    if args.source and not dense.exists():
        dense.symlink_to(args.source.resolve())
    elif not dense.exists():
        random_model(args, home, dense)
    if not ours.exists():
        run(args.build / "ecld", "compress", pathlib.Path(__file__).parent / "w4_as_q4_0.yaml", "--model", dense,
            "--out", ours)
    if not (home / "bf16.gguf").exists():
        run(sys.executable, source_of(args) / "convert_hf_to_gguf.py", dense, "--outtype", "bf16", "--outfile",
            home / "part.gguf")
        (home / "part.gguf").rename(home / "bf16.gguf")
    if not (home / "q4_0.gguf").exists():
        run(tool(args, "llama-quantize"), "--pure", home / "bf16.gguf", home / "part.gguf", "Q4_0", args.threads)
        (home / "part.gguf").rename(home / "q4_0.gguf")
    for form, (mine, theirs) in FORMATS.items():
        ratio = our_bytes(args, home / mine) / gguf_bytes(home / theirs)
        print(f"{args.name} {form}: ours {our_bytes(args, home / mine)} B of weights, "
              f"llama.cpp's {gguf_bytes(home / theirs)} B, ratio {ratio:.4f}")
        if abs(ratio - 1) > BYTES_TOLERANCE:
            fail("the two do not hold the same bytes per weight, so their speeds say nothing")


def random_model(args, home, dense):
    if not args.config or not args.tokenizer:
        fail("give --from a checkpoint, or --config and --tokenizer for random weights")
    shape = home / "shape"
    shutil.rmtree(shape, ignore_errors=True)
    shape.mkdir()
    shutil.copy(args.config, shape / "config.json")
    for file in args.tokenizer.glob("tokenizer*.json"):
        shutil.copy(file, shape)
    run(args.build / "random_checkpoint", shape / "config.json", dense)


def our_bytes(args, directory):
    return json.loads(run(args.build / "ecld-device", "inspect", directory, "--json", "-"))["weights_B"]


def gguf_bytes(path):
    import gguf
    return sum(int(tensor.n_bytes) for tensor in gguf.GGUFReader(path).tensors)


# --- measuring

def our_rate(args, directory, test):
    lengths = ["--prompt", 0, "--generate", test.tok] if test.decode else ["--prompt", test.tok, "--generate", 0]
    result = json.loads(run(args.build / "ecld-device", "bench", directory, *lengths, "--batch", test.batch, "--depth",
                            test.depth, "--repetitions", 1, "--threads", args.threads, "--json", "-"))
    return result["models"][0]["tests"][0]["tok_per_s"]


def peer_rate(args, file, test):
    threads = ["-t", args.threads, "-fa", "on"]  # flash attention: the faster of its two
    if test.batch == 1:
        lengths = ["-p", 0, "-n", test.tok] if test.decode else ["-p", test.tok, "-n", 0]
        rows = json.loads(run(tool(args, "llama-bench"), "-m", file, *lengths, "-d", test.depth, "-r", 1, "-o", "json",
                              *threads))
        return rows[0]["avg_ts"]
    prompt, generate = (test.depth, test.tok) if test.decode else (test.tok, 1)
    lines = run(tool(args, "llama-batched-bench"), "-m", file, "-npp", prompt, "-ntg", generate, "-npl", test.batch,
                "-c", test.batch * (prompt + generate), "--output-format", "jsonl", *threads)
    row = next(json.loads(line) for line in lines.splitlines() if line.startswith("{"))
    return row["speed_tg" if test.decode else "speed_pp"]


def measure(args):
    results = args.work / "results.jsonl"
    for home in sorted((args.work / "models").iterdir()):
        for form, (mine, theirs) in FORMATS.items():
            for test in TESTS:
                label = f"{home.name} {form} {test.name}"
                if not fnmatch.fnmatch(label, args.only):
                    continue
                for turn in range(args.pairs):
                    pair = {"model": home.name, "format": form, "test": test.name}
                    for name in ("ours", "peer") if turn % 2 == 0 else ("peer", "ours"):
                        pair[name] = our_rate(args, home / mine, test) if name == "ours" else peer_rate(
                            args, home / theirs, test)
                    with open(results, "a") as file:
                        file.write(json.dumps(pair) + "\n")
                    print(f"{label}: ours {pair['ours']:.2f}, llama.cpp {pair['peer']:.2f} tokens/s", flush=True)


# --- report

def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def report(args):
    pairs = collections.defaultdict(list)
    for line in (args.work / "results.jsonl").read_text().splitlines():
        pair = json.loads(line)
        pairs[pair["model"], pair["format"], pair["test"]].append(pair)
    rows = []
    for (name, form, test), found in sorted(pairs.items(), key=lambda item: (item[0][0], item[0][1])):
        rows.append({"model": name, "format": form, "test": test, "pairs": len(found), "unit": "token/s",
                     "ours": summary([pair["ours"] for pair in found]),
                     "llama_cpp": summary([pair["peer"] for pair in found]),
                     "ratio": summary([pair["ours"] / pair["peer"] for pair in found])})
    print(f"{'model':<14} {'format':<6} {'test':<15} {'pairs':>5} {'ours t/s':>10} {'llama.cpp':>10}  ratio")
    for row in rows:
        ratio = row["ratio"]
        print(f"{row['model']:<14} {row['format']:<6} {row['test']:<15} {row['pairs']:>5} {row['ours']['median']:>10.2f} "
              f"{row['llama_cpp']['median']:>10.2f}  {ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})")
    if args.json:
        args.json.write_text(json.dumps({"schema": "ecld.peer", "schema_version": "1.0.0", "peer": f"llama-cpp-python {VERSION}",
                                         "threads": args.threads, "rows": rows}, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("build/peers"), help="folder for everything")
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/dev"), help="our programs")
    parser.add_argument("--threads", type=int, default=2, help="of both")
    steps = parser.add_subparsers(dest="step", required=True)
    steps.add_parser("build").set_defaults(step=build)
    step = steps.add_parser("model")
    step.set_defaults(step=model)
    step.add_argument("name")
    step.add_argument("--from", dest="source", type=pathlib.Path, help="checkpoint directory")
    step.add_argument("--config", type=pathlib.Path, help="config.json of the shapes")
    step.add_argument("--tokenizer", type=pathlib.Path, help="folder with tokenizer.json")
    step = steps.add_parser("measure")
    step.set_defaults(step=measure)
    step.add_argument("--only", default="*", help="of the labels `MODEL FORMAT TEST`, like '*q4 tg*'")
    step.add_argument("--pairs", type=int, default=5)
    step = steps.add_parser("report")
    step.set_defaults(step=report)
    step.add_argument("--json", type=pathlib.Path, help="write the rows here too")
    args = parser.parse_args()
    args.step(args)


if __name__ == "__main__":
    main()
