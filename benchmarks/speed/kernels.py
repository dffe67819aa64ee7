"""Kernels against what one would write without them: milliseconds, on a CPU or a GPU.

Forward and backward of attention along edges and of ragged attention; choosing groups of point
clouds. A ratio above 1 means that the first candidate, the rule's choice, is faster.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from anymae.benchmarks.budgets import Budget
from anymae.benchmarks.speed.measure import interleaved, median_ratio
from anymae.benchmarks.speed.record import kept
from anymae.kernels.attention import attention
from anymae.kernels.edge_attention import Adjacency
from anymae.kernels.edge_attention import choose as choose_along_edges
from anymae.kernels.neighbours import choose as choose_search
from anymae.kernels.segments import Segments

Steps = dict[str, Callable[[], None]]
CITATIONS = (2708, 5278)
"""Nodes and undirected edges of a graph of Cora's size, its degrees as uneven."""
MOLECULES = (128, 6, 40)
"""How many, and their least and most atoms."""
HEADS = ((4, 32), (4, 64), (8, 64))
"""Heads, and numbers a head."""
CLOUDS = {"1,024 points": [1024] * 32, "300 to 8,192 points": [300, 1024, 2500, 8192] * 4}
MIXED = [20, 33, 55, 90, 150, 250, 400, 600] * 4
"""Lengths of a ragged batch."""


def citations() -> tuple[int, Tensor]:
    """A graph's nodes and edges, both ways and to themselves."""
    draw = torch.Generator().manual_seed(0)
    nodes, count = CITATIONS
    fame = torch.randn(nodes, generator=draw).mul(1.2).exp()
    cited = torch.multinomial(fame, count, replacement=True, generator=draw)
    edges = torch.stack([torch.randint(nodes, (count,), generator=draw), cited])
    return nodes, torch.cat([edges, edges.flip(0), torch.arange(nodes).repeat(2, 1)], 1)


def molecules() -> tuple[int, Tensor]:
    """Chains with a few rings."""
    draw = torch.Generator().manual_seed(0)
    count, least, most = MOLECULES
    found, nodes = [], 0
    for size in torch.randint(least, most, (count,), generator=draw).tolist():
        chain = torch.stack([torch.arange(size - 1), torch.arange(1, size)])
        bonds = torch.cat([chain, torch.randint(size, (2, 3), generator=draw)], 1)
        found.append(nodes + torch.cat([bonds, bonds.flip(0), torch.arange(size).repeat(2, 1)], 1))
        nodes += size
    return nodes, torch.cat(found, 1)


def scattered(q: Tensor, k: Tensor, v: Tensor, graph: Adjacency, bias: Tensor) -> Tensor:
    """Attention along edges as graph libraries write it: gather, softmax by scatter, scatter."""
    source, to = graph.pairs
    scores = (q[to] * k[source]).sum(-1) * q.shape[-1] ** -0.5 + bias
    place = to[:, None].expand_as(scores)
    largest = scores.new_full(q.shape[:2], -torch.inf)
    largest = largest.scatter_reduce(0, place, scores.detach(), "amax")
    weights = (scores - largest[to]).exp()
    share = weights / weights.new_zeros(largest.shape).index_add(0, to, weights)[to]
    return torch.zeros_like(v).index_add(0, to, share[..., None] * v[source])


def along_edges(nodes: int, edges: Tensor, heads: int, size: int, device: str) -> Steps:
    """The rule's choice and its rivals, on random tensors: bfloat16 on a GPU, float32 on a CPU."""
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    q, k, v = leaves((nodes, heads, size), dtype, device)
    (bias,) = leaves((edges.shape[1], heads), dtype, device, 1)
    graph = Adjacency(edges.to(device), nodes)
    chosen = choose_along_edges(torch.device(device)).body
    bodies = {
        name: import_module(f"anymae.kernels.edge_attention.{name}").edge_attention
        for name in dict.fromkeys((chosen, "torch_native"))
    }
    bodies["scatter"] = scattered
    return {name: passes(partial(f, q, k, v, graph, bias)) for name, f in bodies.items()}


def ragged(device: str) -> Steps:
    """Packed attention against padding, at Small's width."""
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    cut, most = Segments.of_lengths(MIXED), max(MIXED)
    q, k, v = leaves((cut.total, 6, 64), dtype, device)
    queries, keys, values = leaves((len(MIXED), 6, most, 64), dtype, device)
    there = torch.arange(most)[None] < cut.lengths[:, None]
    mask = there[:, None, None].to(device)
    return {
        "packed": passes(lambda: attention(q, k, v, cut, cut)),
        "padded": passes(lambda: F.scaled_dot_product_attention(queries, keys, values, mask)),
    }


def groups(lengths: list[int], device: str) -> Steps:
    """A group of 32 for every 16 points: centres far from one another, and their neighbours."""
    cut, draw = Segments.of_lengths(lengths), torch.Generator().manual_seed(0)
    cloud = torch.randn(cut.total, 3, generator=draw)
    counts = torch.tensor([n // 16 for n in lengths])
    of_groups = Segments.of_lengths(counts)

    def run(body: str, points: Tensor) -> None:
        search = import_module(f"anymae.kernels.neighbours.{body}")
        centres = points[search.farthest_points(points, cut, counts)]
        search.nearest(points, cut, centres, of_groups, 32)

    there = cloud.to(device)
    bodies = dict.fromkeys((choose_search(torch.device(device)).body, "torch_native"))
    steps: Steps = {body: partial(run, body, there) for body in bodies}
    if device != "cpu":
        steps["torch_native on the CPU"] = partial(run, "torch_native", cloud)
    return steps


def leaves(shape: tuple[int, ...], dtype: torch.dtype, device: str, count: int = 3) -> list[Tensor]:
    """Random tensors that want gradients."""
    draw = torch.Generator().manual_seed(0)
    made = (torch.randn(shape, generator=draw) for _ in range(count))
    return [x.to(device, dtype).requires_grad_() for x in made]


def passes(forward: Callable[[], Tensor]) -> Callable[[], None]:
    """One forward and backward pass."""
    return lambda: forward().sum().backward()


def cases(device: str) -> dict[str, Callable[[], Steps]]:
    """Everything there is to compare; tensors are made when a case's turn has come."""
    graphs = {"citations": citations(), "molecules": molecules()}
    found: dict[str, Callable[[], Steps]] = {
        f"edges, {name}, {heads} x {size}": partial(along_edges, *graph, heads, size, device)
        for name, graph in graphs.items()
        for heads, size in HEADS
    }
    found["ragged, 20 to 600 tokens"] = partial(ragged, device)
    for name, lengths in CLOUDS.items():
        found[f"groups, {name}"] = partial(groups, lengths, device)
    return found


def run(budget: Budget, out: Path) -> dict[str, Any]:
    """Milliseconds of all candidates, and how many times faster the first is than the others;
    keeps ``kernels.json`` in ``out``."""
    rows = {}
    for name, make in cases(budget.device).items():
        times = interleaved(make(), budget.rounds, threads=1, device=torch.device(budget.device))
        ours, *rivals = times
        rows[name] = {
            "milliseconds": {k: 1e3 * statistics.median(v) for k, v in times.items()},
            "speed_ratio": {k: median_ratio(times[ours], times[k]) for k in rivals},
        }
        print(name, rows[name]["milliseconds"], flush=True)
    return kept({"device": budget.device, "rounds": budget.rounds, "rows": rows}, "kernels", out)
