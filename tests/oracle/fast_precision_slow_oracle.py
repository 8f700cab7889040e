"""What running fast costs (8-bit activations, a half-precision cache): KL to the exact run of the same checkpoint, on
the start of WikiText-2 validation of ECLD_TEST_DATA. SmolLM2-135M-Instruct, weights rounded in groups of 32: below
0.002 nats a token at 8 bits, with and without a packed embedding; at 4, 3 and 2 bits below 5 % of what the weights' format
costs. (Rounding to 2 bits leaves nothing of this model: its perplexity is 1e8, and any change is as large as any other. So
2 bits are quantize.gptq's, asymmetric, next to an embedding of 4.)
"""
import json

from compare import DATA, check, demo_checkpoint, main, run, skip, tool

WINDOWS = ["--window", 512, "--windows", 4]
RECIPE = """version: 1
name: round
stages:
  - pass: quantize.round
    bits: {bits}
    group_size: 32
    symmetric: true
"""
GPTQ2 = """version: 1
name: gptq
calibration: {windows: 16, window_tok: 512}
stages:
  - {pass: quantize.gptq, bits: 2, group_size: 32, symmetric: false, embeddings: {bits: 4, group_size: 32}}
"""
EMBEDDINGS = "    embeddings: {{bits: {bits}, group_size: 32, symmetric: true}}\n"


def compressed(out, dense, recipe, *options):
    file = out.with_suffix(".yaml")
    file.write_text(recipe)
    run(tool("ecld"), "compress", file, "--model", dense, "--out", out, *options)
    return out


def rounded(directory, dense, bits, embeddings):
    return compressed(directory / f"w{bits}{'-embeddings' if embeddings else ''}", dense,
                      (RECIPE + (EMBEDDINGS if embeddings else "")).format(bits=bits))


def kl(model, reference, text, precision):
    result = json.loads(run(tool("ecld-device"), "eval", model, "--reference", reference, "--text", text, *WINDOWS,
                            "--precision", precision, "--json", "-"))
    return next(metric["value"] for metric in result["metrics"] if metric["name"] == "kl")


def body(directory):
    dense = demo_checkpoint()
    if not dense or not DATA:
        return skip("no demo file, gguf_import or ECLD_TEST_DATA")
    text = DATA / "data" / "wikitext2" / "tokenized_valid.txt"
    for embeddings in (False, True):
        model = rounded(directory, dense, 8, embeddings)
        cost = kl(model, model, text, "fast")
        check(model.name, 0 < cost < 0.002, f"KL of fast to exact {cost:.5f}, bound 0.002")
    for model in (rounded(directory, dense, 4, True), rounded(directory, dense, 3, True),
                  compressed(directory / "w2-gptq", dense, GPTQ2, "--calibration", DATA / "data" / "calib" / "wiki.utf8")):
        cost, own = kl(model, model, text, "fast"), kl(model, dense, text, "exact")
        check(model.name, 0 < cost < 0.05 * own, f"KL of fast to exact {cost:.5f}, of the weights' rounding {own:.4f}")


if __name__ == "__main__":
    main(body, "ecld", "ecld-device", "gguf_import")
