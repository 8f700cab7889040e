"""The page of `ecld-device report` in headless Chromium, at the width of a desk and of a phone, light and dark and as print:
it opens without a message of the console, asks for nothing, fits the width, and draws something. ECLD_REPORT_SHOTS=DIR keeps
the screenshots.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
from html import escape

import compare

WIDTHS = {"desk": 1280, "phone": 390}
# A window has a smallest width, a frame has not.
FRAME = """<!DOCTYPE html><title>measuring</title><iframe style="width:{width}px;height:2000px;border:0" srcdoc="{page}"
onload="const d = contentDocument.documentElement; document.title = 'WIDTH ' + d.scrollWidth + ' ' + d.clientWidth"></iframe>"""


def page(folder):
    """A report of two tiny models: tasks, a profile, a run that measured sensitivity."""
    (folder / "data").mkdir()
    lines = [{"q": f"question {i * i}", "a": f"one {i}", "b": f"two {i % 7}", "gold": i % 2} for i in range(60)]
    (folder / "data/set.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "pick.yaml").write_text('task: pick\ndata: {files: [set.jsonl]}\ntext: "{{ q }}:"\n'
                                      'choices: ["{{ a }}", "{{ b }}"]\ngold: "{{ gold }}"\nmetrics: [acc, acc_norm]\n')
    device, inputs = compare.tool("ecld-device"), []
    for name, seed in (("a model & its <name>", 1), ("another", 2)):
        model = compare.tiny_checkpoint(folder / name, seed=seed)
        result, profile = folder / f"{seed}.json", folder / f"profile-{seed}"
        compare.run(device, "eval", model, "--tasks", folder / "pick.yaml", "--data", folder / "data", "--json", result)
        compare.run(device, "profile", model, "--out", profile, "--budget", 5)
        inputs += [result, profile]
    run = {"schema": "ecld.report", "schema_version": "1.0.0", "recipe": {"name": "tiny"}, "stages": [
        {"pass": "quantize.allocate", "details": {"formats": ["4 bits", "2 bits"], "units": [
            {"name": f"model.layers.{i}.mlp.down_proj", "kl_nats": [0.001 * (i + 1), 0.02 * (i + 1)]} for i in range(4)]}}]}
    (folder / "run.json").write_text(json.dumps(run))
    compare.run(device, "report", *inputs, folder / "run.json", "--out", folder / "report.html")
    return folder / "report.html"


def chromium(folder, width, *arguments):
    command = [shutil.which("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
               "--enable-logging=stderr", f"--user-data-dir={folder}/chromium", f"--window-size={width},2400",
               *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=300)
    return result.stdout, re.findall(r".*CONSOLE.*", result.stderr), result.returncode


def main(folder):
    if not shutil.which("chromium"):
        return compare.skip("chromium is not installed (scripts/setup.sh --slow)")
    html = page(folder)
    text = html.read_text()
    compare.check("nothing is asked for", not re.search(r"https?://|src=|href=|url\(|@import", text), f"{len(text)} characters")
    shots = pathlib.Path(os.environ.get("ECLD_REPORT_SHOTS", folder)).resolve()
    measured = folder / "measured.html"
    sizes = {}
    for name, width in WIDTHS.items():
        for look, flags in (("light", []), ("dark", ["--blink-settings=preferredColorScheme=0"])):
            shot = shots / f"report-{name}-{look}.png"
            _, console, status = chromium(folder, width, f"--screenshot={shot}", *flags, html.as_uri())
            compare.check(f"{name}, {look}: opens without messages", status == 0 and not console, f"{status} {console}")
            sizes[name, look] = shot.stat().st_size if shot.exists() else 0
            compare.check(f"{name}, {look}: something is drawn", sizes[name, look] > 20000, f"{sizes[name, look]} bytes")
        measured.write_text(FRAME.format(width=width, page=escape(text)))
        dom, _, _ = chromium(folder, width, "--dump-dom", measured.as_uri())
        content, window = map(int, re.search(r"WIDTH (\d+) (\d+)", dom).groups())
        compare.check(f"{name}: fits the width", content <= window == width, f"content {content}, window {window}")
    printed = shots / "report.pdf"
    _, console, status = chromium(folder, 1280, f"--print-to-pdf={printed}", html.as_uri())
    compare.check("prints", status == 0 and printed.exists() and printed.read_bytes()[:4] == b"%PDF", f"{status} {console}")


if __name__ == "__main__":
    compare.main(main, "ecld-device", "tiny_checkpoint")
