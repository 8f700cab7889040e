"""The files of the project as git knows them; a copy without git is skipped, visibly."""
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def tracked(*endings):
    """Paths from the root of the tracked files with one of these endings."""
    git = shutil.which("git")
    listed = git and subprocess.run([git, "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True)
    if not listed or listed.returncode != 0:
        print("skipped: not a git checkout, or no git")
        sys.exit(77)
    return [name for name in listed.stdout.split("\0") if name.endswith(endings) and (ROOT / name).is_file()]
