"""Renders every template of llama.cpp's folder of published templates with conversations of all kinds, by us and by the
environment of transformers: the same text, or an error in both.

The folder is ECLD_CHAT_TEMPLATES, else that of the sources of llama-cpp-python, which pip downloads.
"""
import os
import pathlib
import re
import subprocess
import sys
import tarfile

from chat_cases import compare, template_variables
from compare import main, skip

LIST = pathlib.Path(__file__).parents[2] / "scripts" / "python-slow.txt"


def templates(folder):
    """(name, text) of each, or nothing when they cannot be had."""
    if os.environ.get("ECLD_CHAT_TEMPLATES"):
        return [(p.name, p.read_text(encoding="utf-8"))
                for p in sorted(pathlib.Path(os.environ["ECLD_CHAT_TEMPLATES"]).glob("*.jinja"))]
    package = re.search(r"^llama-cpp-python==\S+$", LIST.read_text(), re.MULTILINE).group()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "llama-cpp-python",
               "--dest", folder, package]
    result = subprocess.run(command, capture_output=True)
    if result.returncode:
        skip(f"the sources of {package} cannot be downloaded: {result.stderr.decode()[-200:]!r}")
        return []
    with tarfile.open(next(folder.glob("*.tar.gz"))) as sources:
        files = [m for m in sources.getmembers() if re.search(r"/models/templates/[^/]+\.jinja$", m.name)]
        return [(pathlib.Path(m.name).name, sources.extractfile(m).read().decode()) for m in files]


def body(folder):
    found = templates(folder)
    good = 0
    for name, source in found:
        good += all([compare(folder, f"{name} #{i}", source, variables)
                     for i, variables in enumerate(template_variables())])
    if found:
        print(f"{good} of {len(found)} templates are rendered as transformers renders them")


if __name__ == "__main__":
    main(body, "render_chat", package="transformers")
