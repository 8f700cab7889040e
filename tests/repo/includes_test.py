#!/usr/bin/env python3
"""The arrows between the rooms hold, and none between passes; and the check itself finds planted violations, and only those."""
import pathlib
import sys
import tempfile

from includes import violations

PLANTED = {
    "kernels/gemm/bad.cpp": ('#include "kernels/gemm/gemm.h"\n\n#include "checkpoint/config.h"\n',
                             ["kernels/gemm/bad.cpp:3: kernels may not include checkpoint"]),
    "checkpoint/bad.h": ('#include "kernels/packing/packing.h"\n#include "kernels/gemm/gemm.h"\n',
                         ["checkpoint/bad.h:2: checkpoint may not include kernels"]),
    "runtime/bad.cpp": ("#include <torch/torch.h>\n  #  include \"ATen/ATen.h\"\n",
                        ["runtime/bad.cpp:1: runtime may not include Torch",
                         "runtime/bad.cpp:2: runtime may not include Torch"]),
    "prune/bad.cpp": ('#include "quantize/grid.h"\n#include <ATen/ATen.h>\n#include "bad.h"\n',
                      ["prune/bad.cpp:1: prune may not include quantize",
                       "prune/bad.cpp:3: \"bad.h\" is not a path from the root"]),
    "recipes/pass_table.cpp": ('#include "core/error.h"\n#include "quantize/one.h"\n', []),
    "quantize/one.cpp": ('#include "quantize/one.h"\n#include "quantize/grid.h"\n', []),
    "quantize/two.cpp": ('#include "quantize/one.h"\n',
                         ["quantize/two.cpp:1: one pass may not include another, quantize/one.h"]),
    "core/bad.h": ('#include "tests/testing/near.h"\n', ["core/bad.h:1: core may not include tests/testing/near.h"]),
    "offload/bad.cpp": ('#include "offload/decide.h"\n#include "offload/learn/ppo.h"\n',
                        ["offload/bad.cpp:2: offload may not include offload/learn"]),
    "offload/learn/good.cpp": ('#include "offload/decide.h"\n#include <ATen/ATen.h>\n', []),
    "cli/device/good.cpp": ('#include "eval/perplexity.h"\n#include <vector>\n', []),
}
TARGETS = ("kernels/gemm/gemm.h", "kernels/packing/packing.h", "checkpoint/config.h", "quantize/grid.h",
           "quantize/one.h", "core/error.h", "offload/decide.h", "offload/learn/ppo.h",
           "tests/testing/near.h", "eval/perplexity.h")


def main():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in [(target, "") for target in TARGETS] + [(n, t) for n, (t, _) in PLANTED.items()]:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        expected = sorted(line for _, lines in PLANTED.values() for line in lines)
        found = sorted(violations(root))
    if found != expected:
        print("the check itself is wrong:\n  found    " + "\n           ".join(found) +
              "\n  expected " + "\n           ".join(expected))
        return 1
    real = violations(pathlib.Path(__file__).resolve().parents[2])
    print("\n".join(real) if real else "no violation")
    return 1 if real else 0


sys.exit(main())
