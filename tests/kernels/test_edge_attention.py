"""Edge attention equals its definition, in value and in gradients, whatever the graph."""

from importlib import import_module

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from anymae.kernels import choice
from anymae.kernels.attention import reference as full_reference
from anymae.kernels.edge_attention import Adjacency, choose, edge_attention, reference, torch_native
from anymae.kernels.segments import Segments

from .ways import every_way

HEADS, SIZE = 2, 8
EXACT = 1e-5
"""What float32 may be off by. Half precision is that, rounded once: by half an epsilon more, or by
a whole one where Triton's interpreter cuts bfloat16 off instead of rounding it."""


def pairs(*edges: tuple[int, int]) -> Tensor:
    return torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).T


CASES = {
    "ring": (5, pairs(*((i, (i + 1) % 5) for i in range(5)))),
    "star": (6, pairs(*((i, 0) for i in range(6)))),
    "one-node": (1, pairs((0, 0))),
    "no-edges": (3, pairs()),
    "nodes-nobody-points-at": (5, pairs((0, 1), (3, 1), (1, 4))),
    "an-edge-twice": (3, pairs((0, 1), (0, 1), (2, 1))),
    "everyone": (4, pairs(*((i, j) for i in range(4) for j in range(4)))),
    "unordered": (4, pairs((3, 0), (0, 3), (2, 1), (1, 0), (0, 0))),
}
every_case = pytest.mark.parametrize("case", CASES)
biased = pytest.mark.parametrize("biased", [False, True], ids=["plain", "biased"])


def attend(body: str):
    return import_module(f"anymae.kernels.edge_attention.{body}").edge_attention


def tensors(nodes: int, edges: Tensor, biased: bool, heads: int = HEADS, size: int = SIZE):
    """Queries, keys and values as views of one projection, the bias as that of one block of two:
    what a network hands over."""
    made = list(torch.randn(nodes, 3, heads, size).unbind(1))
    return [*made, torch.randn(edges.shape[1], 2, heads)[:, 1]] if biased else made


def value_and_gradients(way, graph, inputs: list[Tensor], weight: Tensor) -> list[Tensor]:
    leaves = [x.detach().requires_grad_() for x in inputs]
    out = way(*leaves[:3], graph, *leaves[3:])
    assert out.shape == inputs[0].shape
    assert out.dtype == inputs[2].dtype
    grads = torch.autograd.grad(out, leaves, weight.to(out), materialize_grads=True)
    return [out.detach(), *grads]


def assert_equal_to_reference(way, device, nodes, edges, inputs, dtype=torch.float32) -> None:
    inputs = [x.to(device, dtype) for x in inputs]
    weight = torch.randn(inputs[0].shape).to(dtype)
    found = value_and_gradients(way, Adjacency(edges.to(device), nodes), inputs, weight)
    exact = [x.cpu().float() for x in inputs]
    wanted = value_and_gradients(reference.edge_attention, edges, exact, weight)
    rounding = 0.0 if dtype == torch.float32 else torch.finfo(dtype).eps
    for name, a, b in zip(("value", "dq", "dk", "dv", "dbias"), found, wanted, strict=False):
        torch.testing.assert_close(
            a.cpu().float(), b, rtol=EXACT + rounding, atol=EXACT,
            msg=lambda m, n=name: f"{n}: {m}",
        )  # fmt: skip


@biased
@every_case
@every_way()
def test_it_equals_the_definition(body, device, case, biased):
    nodes, edges = CASES[case]
    inputs = tensors(nodes, edges, biased)
    assert_equal_to_reference(attend(body), device, nodes, edges, inputs)


@every_way()
def test_a_hub_may_have_a_thousand_edges(body, device):
    edges = pairs(*((i % 2 + 1, 0) for i in range(1000)), *((0, i) for i in range(3)))
    inputs = tensors(3, edges, True, heads=1)
    assert_equal_to_reference(attend(body), device, 3, edges, inputs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", ["nodes-nobody-points-at", "unordered", "star"])
@every_way()
def test_half_precision_is_float32_rounded_once(body, device, case, dtype):
    nodes, edges = CASES[case]
    inputs = tensors(nodes, edges, True)
    assert_equal_to_reference(attend(body), device, nodes, edges, inputs, dtype)


@given(st.data())
@every_way()
def test_any_graph_equals_the_definition(body, device, data):
    nodes = data.draw(st.integers(1, 5))
    node = st.integers(0, nodes - 1)
    edges = pairs(*data.draw(st.lists(st.tuples(node, node), max_size=15)))
    inputs = tensors(nodes, edges, data.draw(st.booleans()))
    assert_equal_to_reference(attend(body), device, nodes, edges, inputs)


@every_way()
def test_a_graph_may_have_no_nodes(body, device):
    inputs = [x.to(device) for x in tensors(0, pairs(), True)]
    found = value_and_gradients(attend(body), Adjacency(pairs().to(device), 0), inputs, inputs[0])
    assert all(x.numel() == 0 for x in found)


@pytest.mark.parametrize(("heads", "size"), [(1, 1), (3, 5), (1, 64), (2, 100), (1, 256)])
@every_way()
def test_heads_may_be_of_any_size(body, device, heads, size):
    nodes, edges = 7, torch.randint(0, 7, (2, 30))
    inputs = tensors(nodes, edges, True, heads, size)
    assert_equal_to_reference(attend(body), device, nodes, edges, inputs)


@every_way()
def test_inputs_may_lie_in_memory_in_any_way(body, device):
    nodes, edges = CASES["unordered"]
    q, k, v = torch.randn(3, HEADS, SIZE, nodes).permute(0, 3, 1, 2)
    bias = torch.randn(HEADS, edges.shape[1]).T
    inputs = [q, k.contiguous(), v[:, :1].expand(-1, HEADS, -1), bias]
    assert_equal_to_reference(attend(body), device, nodes, edges, inputs)


@pytest.mark.parametrize(("row", "step"), [(2**30, 3 * SIZE), (3 * SIZE, 2**30)])
@every_way()
def test_places_beyond_two_to_the_31_are_reached(body, device, row, step):
    torch.utils.deterministic.fill_uninitialized_memory = False  # 4 GiB, of which little is touched
    try:
        far = torch.empty(2 * (row + step) + 3 * SIZE, dtype=torch.bfloat16, device=device)
    finally:
        torch.utils.deterministic.fill_uninitialized_memory = True
    inputs = [far.as_strided((3, 3, SIZE), (row, step, 1), i * SIZE) for i in range(3)]
    for x in inputs:
        x.copy_(torch.randn(3, 3, SIZE))
    graph = Adjacency(CASES["an-edge-twice"][1].to(device), 3)
    weight = torch.randn(3, 3, SIZE)
    found = value_and_gradients(attend(body), graph, inputs, weight)
    wanted = value_and_gradients(attend(body), graph, [x.clone() for x in inputs], weight)
    assert all(map(torch.equal, found, wanted))


@pytest.mark.parametrize("at_once", [1, 3 * HEADS * SIZE])
def test_products_may_be_taken_in_any_portions(monkeypatch, at_once):
    monkeypatch.setitem(torch_native.AT_ONCE, "cpu", at_once)
    nodes, edges = CASES["everyone"]
    inputs = tensors(nodes, edges, True)
    assert_equal_to_reference(torch_native.edge_attention, "cpu", nodes, edges, inputs)


@every_way()
def test_a_node_nobody_points_at_gets_zeros(body, device):
    nodes, edges = CASES["nodes-nobody-points-at"]
    inputs = [x.to(device) for x in tensors(nodes, edges, False)]
    out = attend(body)(*inputs, Adjacency(edges.to(device), nodes))
    assert out[[0, 2, 3]].eq(0).all()
    assert out[[1, 4]].ne(0).all()


def test_along_all_pairs_it_is_full_attention():
    nodes, edges = CASES["everyone"]
    q, k, v = tensors(nodes, edges, False)
    whole = Segments.of_lengths([nodes])
    wanted = full_reference.attention(q, k, v, whole, whole)
    torch.testing.assert_close(edge_attention(q, k, v, Adjacency(edges, nodes)), wanted)


@every_way()
def test_the_order_of_edges_does_not_matter(body, device):
    nodes, edges = 6, torch.randint(0, 6, (2, 25), device=device)
    *qkv, bias = (x.to(device) for x in tensors(nodes, edges, True))
    order = torch.randperm(25, device=device)
    shuffled = attend(body)(*qkv, Adjacency(edges[:, order], nodes), bias[order])
    torch.testing.assert_close(shuffled, attend(body)(*qkv, Adjacency(edges, nodes), bias))


@every_way()
def test_a_node_reads_only_those_that_point_at_it(body, device):
    nodes, edges = CASES["nodes-nobody-points-at"]
    graph = Adjacency(edges.to(device), nodes)
    q, k, v = (x.to(device) for x in tensors(nodes, edges, False))
    before = attend(body)(q, k, v, graph)
    k[1], v[1] = 1e3, float("nan")
    changed = (attend(body)(q, k, v, graph) != before).flatten(1).any(1)
    assert changed.tolist() == [False, False, False, False, True]


@every_way()
def test_the_bits_do_not_depend_on_the_batch(body, device):
    nodes, edges = 9, torch.randint(0, 9, (2, 60), device=device)
    inputs = [x.to(device) for x in tensors(nodes, edges, True)]
    weight = torch.randn(inputs[0].shape, device=device)
    alone = value_and_gradients(attend(body), Adjacency(edges, nodes), inputs, weight)
    both = Adjacency(torch.cat([edges, edges.flip(1) + nodes], 1), 2 * nodes)
    mates = [*(x.flip(0) for x in inputs[:3]), inputs[3].flip(0)]
    inputs = [torch.cat(two) for two in zip(inputs, mates, strict=True)]
    found = value_and_gradients(attend(body), both, inputs, weight.repeat(2, 1, 1))
    assert all(torch.equal(a[: len(b)], b) for a, b in zip(found, alone, strict=True))


@every_way()
def test_large_scores_do_not_overflow(body, device):
    graph = Adjacency(pairs((0, 1), (2, 1)).to(device), 3)
    v = torch.randn(3, 1, 4, device=device)
    out = attend(body)(torch.full_like(v, 100.0), torch.full_like(v, 100.0), v, graph)
    torch.testing.assert_close(out[1], (v[0] + v[2]) / 2)


@every_way()
def test_a_bias_of_minus_infinity_hides_an_edge(body, device):
    edges = pairs((0, 1), (2, 1), (0, 2)).to(device)
    q, k, v = torch.randn(3, 3, HEADS, SIZE, device=device)
    bias = torch.zeros(3, HEADS, device=device)
    bias[1] = -float("inf")
    found = attend(body)(q, k, v, Adjacency(edges, 3), bias)
    torch.testing.assert_close(found, attend(body)(q, k, v, Adjacency(edges[:, [0, 2]], 3)))


@every_way()
def test_a_node_whose_edges_are_all_hidden_gets_zeros(body, device):
    nodes, edges = 3, pairs(*((1, 0) for _ in range(40)), (0, 2))
    *qkv, bias = tensors(nodes, edges, True)
    bias[:40, 0] = -float("inf")
    bias[:30, 1] = -float("inf")
    assert_equal_to_reference(attend(body), device, nodes, edges, [*qkv, bias])
    zeros = attend(body)(*(x.to(device) for x in qkv), Adjacency(edges.to(device), nodes),
                         bias.to(device))[0, 0]  # fmt: skip
    assert zeros.eq(0).all()


@every_way()
def test_autocast_changes_nothing(body, device):
    nodes, edges = 6, torch.randint(0, 6, (2, 25))
    *qkv, bias = tensors(nodes, edges, True)
    inputs = [*(x.to(device, torch.bfloat16) for x in qkv), bias.to(device)]
    graph, weight = Adjacency(edges.to(device), nodes), torch.randn(nodes, HEADS, SIZE)
    wanted = value_and_gradients(attend(body), graph, inputs, weight)
    with torch.autocast(device, torch.bfloat16):
        found = value_and_gradients(attend(body), graph, inputs, weight)
    assert all(map(torch.equal, found, wanted))
    assert found[-1].dtype == torch.float32


@every_way(("triton",))
def test_torch_knows_the_operator(body, device):
    nodes, edges = CASES["unordered"]
    graph = Adjacency(edges.to(device), nodes)
    leaves = [x.contiguous().to(device).requires_grad_() for x in tensors(nodes, edges, True)]
    operator = import_module(f"anymae.kernels.edge_attention.{body}")._attend
    torch.library.opcheck(operator, (*leaves, list(graph.incoming), list(graph.outgoing)))


@pytest.mark.filterwarnings("ignore:.*should not be instantiated")  # torch.compile does
@every_way()
def test_it_compiles_into_one_graph(body, device):
    nodes, edges = CASES["unordered"]
    inputs = [x.contiguous().to(device) for x in tensors(nodes, edges, True)]
    weight, graph = torch.randn(nodes, HEADS, SIZE), Adjacency(edges.to(device), nodes)
    wanted = value_and_gradients(attend(body), graph, inputs, weight)
    whole = torch.compile(attend(body), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(value_and_gradients(whole, graph, inputs, weight), wanted)


# The order of edges


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=20))
def test_an_adjacency_lists_the_edges_of_each_token(edges):
    graph = Adjacency(pairs(*edges), 6)
    for order, own, other in ((graph.incoming, 1, 0), (graph.outgoing, 0, 1)):
        for token in range(6):
            listed = slice(*order.start[token : token + 2].tolist())
            wanted = [e for e, edge in enumerate(edges) if edge[own] == token]
            assert order.edge[listed].tolist() == wanted
            assert order.other[listed].tolist() == [edges[e][other] for e in wanted]


def test_an_adjacency_is_sorted_once():
    graph = Adjacency(pairs((0, 1), (1, 0)), 2)
    assert graph.incoming is graph.incoming


# Which one runs


def test_a_cpu_takes_torch(monkeypatch):
    monkeypatch.setattr(choice, "INTERPRETED", False)
    assert choose(torch.device("cpu")).body == "torch_native"
