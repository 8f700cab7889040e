"""NVIDIA AIConfigurator 0.12.0 on the tables of our device profile: it loads them, adds the time of a token up as we do by
hand, and comes within a tenth of what was measured for whole steps: in the median of several profiles, as the rate of a
shared machine's memory may be another by more than that from one minute to the next. Its environment is .venv-aiconfigurator.
"""
import csv
import json
import pathlib
import re
import statistics
import subprocess

import compare

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-aiconfigurator/bin/python"
GEN_TOK = 8  # as the short grid of a profile generates
PROMPTS = (16, 64, 256)
PROFILES = 5

PREDICT = """
import json, logging, sys
logging.disable(logging.WARNING)
from aiconfigurator.cli.api import cli_estimate
folder, quant, gen_tok, *prompts = sys.argv[1:]
found = {}
for prompt in prompts:
    result = cli_estimate(folder + "/model", "device", mode="static", backend_name="vllm", backend_version="0.24.0",
                          isl=int(prompt), osl=int(gen_tok) + 1, batch_size=1, gemm_quant_mode=quant,
                          kvcache_quant_mode="bfloat16", fmha_quant_mode="bfloat16", systems_paths=folder + "/systems",
                          stride=1)
    found[prompt] = result.tpot
print("RESULT", json.dumps(found))
"""


def predict(folder, quant):
    """Prompt length -> milliseconds per token."""
    result = subprocess.run([PYTHON, "-c", PREDICT, folder, quant, str(GEN_TOK), *map(str, PROMPTS)], capture_output=True,
                            text=True)
    line = re.search(r"^RESULT (.*)$", result.stdout, re.M)
    if not line:
        raise RuntimeError(f"aiconfigurator: {result.stdout[-1500:]}{result.stderr[-1500:]}")
    return {int(prompt): tpot for prompt, tpot in json.loads(line.group(1)).items()}


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def by_hand(folder, prompt):
    """The same sum from the exported tables: products and attention of every layer, what lies between, the head. Twice:
    with the attention of this prompt, and with that of the next longer one; how it goes between is its own affair."""
    config = json.loads((folder / "model/config.json").read_text())
    data = folder / "systems/data/device"
    layers, hidden, vocab = (config[key] for key in ("num_hidden_layers", "hidden_size", "vocab_size"))
    gemm = [(int(row["n"]), float(row["latency"])) for row in rows(data / "gemm/vllm/0.24.0/gemm_perf.csv")
            if row["m"] == "1"]
    attention = {1 + int(row["step"]): float(row["latency"])
                 for row in rows(data / "attention/vllm/0.24.0/generation_attention_perf.csv")}
    spec = dict(re.findall(r"^  (mem\w+): (\S+)$", (folder / "systems/device.yaml").read_text(), re.M))
    bytes_per_ms = float(spec["mem_bw"]) * float(spec["mem_bw_empirical_scaling_factor"]) / 1000
    constant_ms = 1000 * float(spec["mem_empirical_constant_latency"])
    # Two additions with norms, the gate; two bytes of each value read and written.
    between = 3 * constant_ms + 2 * (2 * 4 * hidden + 3 * config["intermediate_size"]) / bytes_per_ms
    products = layers * (sum(ms for n, ms in gemm if n != vocab) + between) + sum(ms for n, ms in gemm if n == vocab)
    return [products + layers * attention[at] for at in (prompt, min(at for at in attention if at > prompt))]


def profile(model, folder):
    """Our time per token of each prompt; the exported tables lie in folder/exported, as Parquet too."""
    compare.run("rm", "-rf", folder)
    device = compare.tool("ecld-device")
    compare.run(device, "profile", model, "--out", folder / "profile", "--device-id", "device", "--budget", 60)
    compare.run(device, "profile", "export", folder / "profile", "--format", "aiconfigurator", "--out",
                folder / "exported")
    compare.run(PYTHON, ROOT / "scripts/csv_to_parquet.py", folder / "exported/systems")
    return {int(row["prompt_tok"]): float(row["tpot_ms"]) for row in rows(folder / "profile/phase.csv")
            if row["batch"] == "1"}


def compare_model(name, model, quant, folder):
    errors = {prompt: [] for prompt in PROMPTS}
    for _ in range(PROFILES):
        measured = profile(model, folder)
        predicted = predict(folder / "exported", quant)
        low, high = by_hand(folder / "exported", PROMPTS[0])
        compare.check(f"{name}: its sum over our tables is ours, within 1 %", 0.99 * low < predicted[PROMPTS[0]] < 1.01 * high,
                      f"{predicted[PROMPTS[0]]:.3f} ms, by hand {low:.3f} to {high:.3f}")
        print(f"{name}, {quant}: " + "; ".join(f"prompt {prompt}: predicted {predicted[prompt]:.3f} ms per token, measured "
                                               f"{measured[prompt]:.3f}" for prompt in PROMPTS), flush=True)
        for prompt in PROMPTS:
            errors[prompt].append(predicted[prompt] / measured[prompt] - 1)
    for prompt, found in errors.items():
        error = statistics.median(found)
        compare.check(f"{name}: time per token after {prompt} tokens, median of {PROFILES} profiles", abs(error) < 0.1,
                      f"{error:+.1%} of measured; {min(found):+.1%} to {max(found):+.1%}")


def main(folder):
    model = compare.demo_checkpoint()
    if not PYTHON.exists() or not model:
        return compare.skip("AIConfigurator or SmolLM2 is not here (scripts/setup.sh --slow)")
    compare.run(compare.tool("ecld"), "compress", ROOT / "benchmarks/peers/w4_as_q4_0.yaml", "--model", model, "--out",
                folder / "w4")
    compare_model("4 bits", folder / "w4", "int4_wo", folder / "of-w4")
    compare_model("bfloat16", model, "bfloat16", folder / "of-bf16")


if __name__ == "__main__":
    compare.main(main, "ecld", "ecld-device", "gguf_import")
