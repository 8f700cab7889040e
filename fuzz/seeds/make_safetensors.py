#!/usr/bin/env python3
"""Writes the seeds of safetensors_fuzz: one valid file, and one for each mistake of the format."""
import json
import pathlib
import struct


def file(header, data=b"\0" * 24, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


a, b = tensor("F32", [2, 2], 0, 16), tensor("BF16", [4], 16, 24)
seeds = {
    "valid": file({"__metadata__": {"format": "pt"}, "a": a, "b": b}),
    "padded": file(json.dumps({"a": a, "b": b}).encode() + b"    "),
    "empty_tensor": file({"a": tensor("F16", [0, 3], 0, 0)}, b""),
    "scalar": file({"a": tensor("I64", [], 0, 8)}, b"\1" * 8),
    "truncated": file({"a": a, "b": b}, b"\0" * 8),
    "overlap": file({"a": a, "b": tensor("BF16", [4], 8, 16)}, b"\0" * 16),
    "hole": file({"a": a, "b": tensor("BF16", [4], 20, 28)}, b"\0" * 28),
    "wrong_size": file({"a": tensor("F32", [3, 2], 0, 16), "b": b}),
    "overflow": file({"a": tensor("F64", [2**62, 2**62], 0, 16)}),
    "negative": file({"a": tensor("F32", [-2, -2], 0, 16)}),
    "unknown_type": file({"a": tensor("F12", [2, 2], 0, 16)}),
    "long_header": file({"a": a}, length=2**63),
    "not_json": file(b"{\"a\": [}"),
    "eight_bytes": struct.pack("<Q", 0),
}
folder = pathlib.Path(__file__).parent / "safetensors_fuzz"
for name, content in seeds.items():
    (folder / name).write_bytes(content)
