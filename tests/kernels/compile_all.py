"""Compiles every Triton kernel as the library starts it, for GPUs that need not be there.

    python tests/kernels/compile_all.py CAPABILITY...

Prints a JSON object, kernel -> list of PTX texts, one for each way it is started and capability.
"""

import json
import sys
from collections import defaultdict

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from anymae.kernels.edge_attention import Adjacency
from anymae.kernels.edge_attention.triton import edge_attention
from anymae.kernels.neighbours.triton import farthest_points, nearest
from anymae.kernels.segments import Segments

POINTERS = {
    torch.bfloat16: "*bf16",
    torch.float16: "*fp16",
    torch.float32: "*fp32",
    torch.int64: "*i64",
}
found: dict[str, list[str]] = defaultdict(list)


def compile_instead(kernel: triton.JITFunction, *args, grid, warmup, **named) -> None:
    """Takes the place of a start: the arguments only tell types, constants and options."""
    options = {name: named.pop(name) for name in named.keys() - {*kernel.arg_names}}
    given = dict(zip(kernel.arg_names, args, strict=False)) | named
    types = {p.name: "constexpr" if p.is_constexpr else kind(given[p.name]) for p in kernel.params}
    constants = {name: given[name] for name, type_ in types.items() if type_ == "constexpr"}
    for capability in map(int, sys.argv[1:]):
        source = ASTSource(kernel, types, constants)
        target = GPUTarget("cuda", capability, 32)
        ptx = triton.compile(source, target=target, options=options).asm["ptx"]
        found[kernel.fn.__name__].append(ptx)


def kind(value: object) -> str:
    """How Triton types an argument: ones and None become part of the code."""
    if isinstance(value, torch.Tensor):
        return POINTERS[value.dtype]
    if value is None or value == 1:
        return "constexpr"
    return "fp32" if isinstance(value, float) else "i32"


def start_all() -> None:
    for dtype, tokens, heads, size, biased in [
        (torch.bfloat16, 5, 3, 64, True),
        (torch.float16, 5, 2, 200, False),
        (torch.float32, 1, 1, 1, True),
    ]:
        qkv = torch.zeros(tokens, 3, heads, size, dtype=dtype, requires_grad=True)
        graph = Adjacency(torch.zeros(2, 4, dtype=torch.int64), tokens)
        bias = torch.zeros(4, heads, dtype=dtype) if biased else None
        edge_attention(*qkv.unbind(1), graph, bias).sum().backward()
    for lengths, axes, k in (([5, 3], 3, 2), ([1], 1, 1)):
        cut, points = Segments.of_lengths(lengths), torch.zeros(sum(lengths), axes)
        farthest_points(points, cut, cut.lengths)
        nearest(points, cut, points, cut, k)


if __name__ == "__main__":
    triton.JITFunction.run = compile_instead
    start_all()
    print(json.dumps(found))
