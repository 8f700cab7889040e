"""Which room may include which: the table of the design, checked against every #include with a path from the root."""
import re

PROFILE = "profile/format profile/query profile/score profile/export"
ARROWS = {
    "core": "",
    "profile/format": "core",
    "profile/query": "core profile/format",  # what a scheduler links
    "profile/score": "core profile/format profile/query",
    "profile/export": "core profile/format profile/query",
    "jinja": "core",
    "kernels": "core",
    "checkpoint": "core jinja kernels/packing",
    "runtime": "core kernels checkpoint",
    "serve": "core jinja checkpoint runtime",
    "measure": "core kernels checkpoint runtime",
    "eval": "core jinja checkpoint runtime measure",
    "profiler": "core profile/format profile/query profile/score kernels checkpoint runtime measure eval",
    "report": "core profile/format profile/query profile/score eval",
    "offload": "core profile/format profile/query profile/score checkpoint",
    "offload/learn": "core offload",
    "cli/device": f"core {PROFILE} jinja kernels checkpoint runtime serve measure eval profiler report offload",
    "model": "core kernels checkpoint",
    "operators": "core kernels model",
    "prune": "core checkpoint model",
    "quantize": "core kernels/packing checkpoint model",
    "distill": "core kernels/packing checkpoint model",
    "recipes": f"core {PROFILE} jinja kernels checkpoint runtime measure model prune quantize distill",
    "search": "core checkpoint eval recipes model",
    "cli/workbench": f"core {PROFILE} jinja kernels checkpoint runtime serve measure eval profiler report "
                     "offload offload/learn cli/device model prune quantize distill recipes search",
}
DEVICE_HALF = ("core", *PROFILE.split(), "jinja", "kernels", "checkpoint", "runtime", "serve", "measure", "eval",
               "profiler", "report", "offload", "cli/device")
PASS_ROOMS = ("prune", "quantize", "distill")
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
TORCH = re.compile(r"^(torch|ATen|c10)/")


def room_of(path):
    """The innermost room that a path from the root lies in; None outside all rooms (tests, programs' main files)."""
    return max((room for room in ARROWS if path.startswith(room + "/")), key=len, default=None)


def violations(root):
    """Lines 'file:line: kernels may not include checkpoint', for every source file in a room below root."""
    found, pass_headers = [], passes(root)
    for path in sorted(p for p in root.rglob("*") if p.suffix in (".h", ".cpp", ".cu", ".cuh")):
        name = path.relative_to(root).as_posix()
        room = room_of(name)
        if room is None:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quoted, target = match.group(1) == '"', match.group(2)
            if TORCH.match(target):
                if room in DEVICE_HALF:
                    found.append(f"{name}:{number}: {room} may not include Torch")
            elif quoted and not (root / target).exists():
                found.append(f"{name}:{number}: \"{target}\" is not a path from the root")
            elif quoted and target in pass_headers and room in PASS_ROOMS and target != name.rsplit(".")[0] + ".h":
                found.append(f"{name}:{number}: one pass may not include another, {target}")
            elif quoted and not allowed(room, target):
                found.append(f"{name}:{number}: {room} may not include {room_of(target) or target}")
    return found


def passes(root):
    """The headers of passes: what the catalogue of them includes from the rooms they live in."""
    table = root / "recipes" / "pass_table.cpp"
    found = [INCLUDE.match(line) for line in table.read_text().splitlines()] if table.exists() else []
    return {match.group(2) for match in found if match and room_of(match.group(2)) in PASS_ROOMS}


def allowed(room, target):
    """Whether the target is in a folder that the room may include, and not in a room further inside that folder."""
    return any(target.startswith(permitted + "/") and len(permitted) >= len(room_of(target) or "")
               for permitted in [room, *ARROWS[room].split()])
