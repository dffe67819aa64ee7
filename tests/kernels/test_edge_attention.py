"""Edge attention equals its definition, in value and in gradients, whatever the graph."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from anymae.kernels.attention import reference as full_reference
from anymae.kernels.edge_attention import edge_attention, reference
from anymae.kernels.segments import Segments

HEADS, SIZE = 2, 8
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 4e-2}


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


def tensors(nodes: int, edges: Tensor, biased: bool) -> list[Tensor]:
    made = [torch.randn(nodes, HEADS, SIZE) for _ in range(3)]
    return [*made, torch.randn(edges.shape[1], HEADS)] if biased else made


def value_and_gradients(way, edges: Tensor, inputs: list[Tensor], weight: Tensor) -> list[Tensor]:
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    out = way(*leaves[:3], edges, *leaves[3:])
    assert out.shape == inputs[0].shape
    assert out.dtype == inputs[2].dtype
    out.backward(weight.to(out.dtype))
    return [out.detach(), *(torch.zeros_like(x) if x.grad is None else x.grad for x in leaves)]


def assert_equal_to_reference(nodes: int, edges: Tensor, biased: bool, dtype: torch.dtype) -> None:
    inputs = [x.to(dtype) for x in tensors(nodes, edges, biased)]
    weight = torch.randn(nodes, HEADS, SIZE).to(dtype)
    found = value_and_gradients(edge_attention, edges, inputs, weight)
    exact = [x.float() for x in inputs]
    wanted = value_and_gradients(reference.edge_attention, edges, exact, weight)
    for name, a, b in zip(("value", "dq", "dk", "dv", "dbias"), found, wanted, strict=False):
        torch.testing.assert_close(
            a.float(), b, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype],
            msg=lambda m, n=name: f"{n}: {m}",
        )  # fmt: skip


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@biased
@every_case
def test_it_equals_the_definition(case, biased, dtype):
    assert_equal_to_reference(*CASES[case], biased, dtype)


@given(st.data())
def test_any_graph_equals_the_definition(data):
    nodes = data.draw(st.integers(1, 7))
    node = st.integers(0, nodes - 1)
    edges = pairs(*data.draw(st.lists(st.tuples(node, node), max_size=20)))
    assert_equal_to_reference(nodes, edges, data.draw(st.booleans()), torch.float32)


def test_a_node_nobody_points_at_gets_zeros():
    nodes, edges = CASES["nodes-nobody-points-at"]
    out = edge_attention(*tensors(nodes, edges, False), edges)
    assert out[[0, 2, 3]].eq(0).all()
    assert out[[1, 4]].ne(0).all()


def test_along_all_pairs_it_is_full_attention():
    nodes, edges = CASES["everyone"]
    q, k, v = tensors(nodes, edges, False)
    whole = Segments.of_lengths([nodes])
    wanted = full_reference.attention(q, k, v, whole, whole)
    torch.testing.assert_close(edge_attention(q, k, v, edges), wanted)


def test_the_order_of_edges_does_not_matter():
    nodes, edges = 6, torch.randint(0, 6, (2, 25))
    inputs = tensors(nodes, edges, True)
    order = torch.randperm(25)
    shuffled = edge_attention(*inputs[:3], edges[:, order], inputs[3][order])
    torch.testing.assert_close(shuffled, edge_attention(*inputs[:3], edges, inputs[3]))


def test_a_node_reads_only_those_that_point_at_it():
    nodes, edges = CASES["nodes-nobody-points-at"]
    q, k, v = tensors(nodes, edges, False)
    before = edge_attention(q, k, v, edges)
    k[1], v[1] = 1e3, -1e3
    changed = (edge_attention(q, k, v, edges) != before).flatten(1).any(1)
    assert changed.tolist() == [False, False, False, False, True]


def test_large_scores_do_not_overflow():
    edges = pairs((0, 1), (2, 1))
    q, k, v = torch.full((3, 1, 4), 100.0), torch.full((3, 1, 4), 100.0), torch.randn(3, 1, 4)
    out = edge_attention(q, k, v, edges)
    torch.testing.assert_close(out[1], (v[0] + v[2]) / 2)


def test_a_bias_of_minus_infinity_hides_an_edge():
    edges = pairs((0, 1), (2, 1), (0, 2))
    q, k, v = torch.randn(3, 3, HEADS, SIZE)
    bias = torch.zeros(3, HEADS)
    bias[1] = -float("inf")
    found = edge_attention(q, k, v, edges, bias)
    torch.testing.assert_close(found, edge_attention(q, k, v, edges[:, [0, 2]]))
