#!/usr/bin/env python3
"""benchmarks/gpu.sh says what it wants and what is missing, and shellcheck finds nothing in it."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from tracked import ROOT

SCRIPT = ROOT / "benchmarks" / "gpu.sh"


def run(*words, path=None):
    environment = dict(os.environ) if path is None else {**os.environ, "PATH": path}
    found = subprocess.run(["/bin/bash", str(SCRIPT), *words], capture_output=True, text=True, env=environment)
    return found.returncode, found.stderr


def main():
    status, says = run()
    assert status == 2 and "benchmarks/gpu.sh OUT_DIR" in says and "set -euo" not in says, (status, says)
    status, says = run("out", "cuda", "soon")
    assert status == 2 and 'SECONDS_FOR_TIMING is "soon"' in says, (status, says)
    with tempfile.TemporaryDirectory() as folder:
        # Only what the script needs before it looks for a GPU, and then an nvidia-smi that lists none.
        for tool in ("dirname", "grep"):
            os.symlink(shutil.which(tool), pathlib.Path(folder, tool))
        out = pathlib.Path(folder, "out")
        for _ in range(2):
            status, says = run(str(out), path=folder)
            assert status == 1 and "nvidia-smi lists no GPU" in says and not out.exists(), (status, says)
            lists_none = pathlib.Path(folder, "nvidia-smi")
            lists_none.write_text("#!/bin/sh\nexit 0\n")
            lists_none.chmod(0o755)
    if not shutil.which("shellcheck"):
        print("skipped: needs shellcheck; what the script says is as it should be")
        return 77
    return subprocess.run(["shellcheck", str(SCRIPT)]).returncode


sys.exit(main())
