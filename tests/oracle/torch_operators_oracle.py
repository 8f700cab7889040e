"""libecld_operators.so in Python, against torch's own linear on the dequantized matrix: the arrays are packed here, by the
published layout. On a GPU, where there is one, with the tiles there, in a CUDA graph too; ECLD_REQUIRE_GPU=1 makes its
absence a failure.
"""
import os

import numpy as np

import compare

LIBRARY = "libecld_operators.so"
OUT, IN = 70, 200


def pack(codes, bits):
    """Rows of codes as a little-endian bit stream in int32 words, each row from a new word."""
    stream = (codes[..., None] >> np.arange(bits) & 1).astype(np.uint8).reshape(len(codes), -1)
    stream = np.pad(stream, ((0, 0), (0, -stream.shape[1] % 32)))
    return np.packbits(stream, axis=1, bitorder="little").view(np.int32)


def problem(bits, group, symmetric, seed):
    """(codes, scales, zero_points, dense) as tensors; dense in float32."""
    import torch
    random = np.random.default_rng(seed)
    groups = -(-IN // group) if group else 1
    of_input = np.arange(IN) // group if group else np.zeros(IN, np.int64)
    codes = random.integers(0, 1 << bits, (OUT, IN))
    scales = torch.from_numpy(random.uniform(0.01, 0.1, (OUT, groups))).to(torch.float16)
    zeros = np.full((OUT, groups), 1 << bits - 1) if symmetric else random.integers(0, 1 << bits, (OUT, groups))
    dense = (codes - zeros[:, of_input]).astype(np.float32) * scales.float().numpy()[:, of_input]
    packed_zeros = None if symmetric else torch.from_numpy(np.ascontiguousarray(pack(zeros.T, bits).T))
    return torch.from_numpy(pack(codes, bits)), scales, packed_zeros, torch.from_numpy(dense)


def agree(name, y, x, dense, most):
    """y is x times the dense matrix, but for this part of the largest value."""
    import torch
    expected = torch.nn.functional.linear(x.float().cpu(), dense)
    compare.near(name, y.float().cpu(), expected, most * float(expected.abs().max()))


def refused(name, call, says):
    try:
        call()
    except ValueError as error:
        return compare.check(name, says in str(error), str(error))
    return compare.check(name, False, "not refused")


def on_processor(ecld):
    import torch
    for bits in (2, 3, 4, 5, 6, 8):
        for group in (32, 128, 0):
            for symmetric in (True, False):
                *weight, dense = problem(bits, group, symmetric, bits)
                x = torch.randn(3, IN)
                agree(f"W{bits} g{group} {'sym' if symmetric else 'asym'}",
                      ecld.packed_linear(x, *weight, OUT, bits, group), x, dense, 1e-5)
    *weight, _ = problem(4, 32, False, 1)
    for name, x, says in (("another width", torch.zeros(2, 128), "codes: is Int"),
                          ("a gradient", torch.zeros(2, IN, requires_grad=True), "wants a gradient")):
        refused(name, lambda x=x: ecld.packed_linear(x, *weight, OUT, 4, 32), says)


def compiled(ecld):
    """Torch's own checks of an operator, and a model with it that is exported and compiled for any number of rows."""
    import torch
    from torch import library
    codes, scales, zeros, dense = problem(4, 32, False, 2)
    for name, arguments in (("packed_linear", (torch.randn(3, IN), codes, scales, zeros, OUT, 4, 32)),
                            ("tile_packed", (codes, scales, zeros, IN, 4, 32))):
        found = library.opcheck(getattr(ecld, name).default, arguments)
        compare.check(f"opcheck {name}", set(found.values()) == {"SUCCESS"}, str(found))

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, tensor in (("codes", codes), ("scales", scales), ("zeros", zeros)):
                self.register_buffer(name, tensor)

        def forward(self, x):
            return torch.relu(ecld.packed_linear(x, self.codes, self.scales, self.zeros, OUT, 4, 32))

    model, x = Model(), torch.randn(7, IN)
    expected = torch.relu(torch.nn.functional.linear(x, dense))
    most = 1e-5 * float(expected.max())
    rows = torch.export.Dim("rows", min=2, max=64)
    exported = torch.export.export(model, (torch.randn(3, IN),), dynamic_shapes=({0: rows},))
    compare.near("exported", exported.module()(x), expected, most)
    whole = torch.compile(model, backend="aot_eager", fullgraph=True, dynamic=True)
    compare.near("compiled", whole(x), expected, most)


def on_gpu(ecld):
    import torch
    if not torch.cuda.is_available():
        if os.environ.get("ECLD_REQUIRE_GPU") == "1":
            compare.check("a GPU", False, "ECLD_REQUIRE_GPU is 1, but torch finds none")
        else:
            print("no GPU: the products on one are not compared", flush=True)
        return
    for bits in (2, 3, 4, 8):
        for group in (32, 128, 0):
            for symmetric in (True, False):
                *rows, dense = problem(bits, group, symmetric, bits)
                tiles = [part.cuda() for part in ecld.tile_packed(*rows, IN, bits, group)]
                weight = tiles if len(tiles) == 3 else [*tiles, None]
                torch.cuda.synchronize()
                for m in (1, 2, 5, 65):
                    x = torch.randn(m, IN).half().cuda()
                    agree(f"W{bits} g{group} {'sym' if symmetric else 'asym'} m {m} on a GPU",
                          ecld.packed_linear(x, *weight, OUT, bits, group), x, dense, 1e-3)
    graph, x = torch.cuda.CUDAGraph(), torch.randn(5, IN).half().cuda()
    expected = ecld.packed_linear(x, *weight, OUT, bits, group)
    with torch.cuda.graph(graph):
        y = ecld.packed_linear(x, *weight, OUT, bits, group)
    for _ in range(3):
        y.fill_(float("nan"))
        graph.replay()
        compare.near("in a CUDA graph", y.cpu(), expected.cpu(), 1e-9)
    refused("row order on a GPU", lambda: ecld.packed_linear(x, *[part.cuda() for part in rows[:2]], None, OUT, 4, 32),
            "tile_packed")


def body(_):
    import torch
    torch.manual_seed(1)
    torch.ops.load_library(str(compare.tool(LIBRARY)))
    for part in (on_processor, compiled, on_gpu):
        part(torch.ops.ecld)


compare.main(body, LIBRARY, package="torch")
