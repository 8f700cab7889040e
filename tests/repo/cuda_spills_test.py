#!/usr/bin/env python3
"""No CUDA kernel keeps registers in memory: reads what the assembler said when the kernels were built."""
import os
import pathlib
import re
import sys

REPORT = re.compile(r"Compiling entry function '(\S+)' for '(\S+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, "
                    r"(\d+) bytes spill loads.*?Used (\d+) registers", re.DOTALL)

MMA_REGISTERS = 65536 // (4 * 128)


def main():
    reports = sorted(pathlib.Path(os.environ["ECLD_BIN_DIR"], "cuda").rglob("*.ptxas"))
    if not reports:
        print("skipped: this build has no CUDA kernels")
        return 77
    problems = []
    for path in reports:
        kernels = REPORT.findall(path.read_text())
        architectures = sorted({architecture for _, architecture, *_ in kernels})
        print(f"{path.name}: {len(kernels)} kernels for {', '.join(architectures)}, "
              f"at most {max((int(kernel[5]) for kernel in kernels), default=0)} registers")
        if architectures != (["sm_90a"] if path.name.endswith("_sm90a.cu.o.ptxas") else ["sm_80", "sm_89", "sm_90a"]):
            problems.append(f"{path.name}: kernels for {architectures}")
        # Products of a warpgroup that the assembler runs one by one, and register counts that it does not take over.
        problems += [f"{path.name}: {line.strip()}" for line in path.read_text().splitlines()
                     if "serialized" in line or "setmaxnreg" in line]
        # Four blocks of 128 threads on a multiprocessor, as MmaSplits counts on.
        problems += [f"{path.name}: {name} for {architecture}: {kernel_registers} registers, at most {MMA_REGISTERS}"
                     for name, architecture, *_, kernel_registers in kernels
                     if path.name.startswith("mma.") and int(kernel_registers) > MMA_REGISTERS]
        problems += [f"{path.name}: {name} for {architecture}: {stack} bytes of stack, {stores} and {loads} spilled"
                     for name, architecture, stack, stores, loads, _ in kernels if int(stack) + int(stores) + int(loads)]
    print("\n".join(problems))
    return 1 if problems else 0


sys.exit(main())
