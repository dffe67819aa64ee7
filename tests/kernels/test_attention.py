"""Every way to compute packed attention equals the definition, values and all three gradients."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from anymae.kernels.attention import attention, choose, dense, dispatch, grouped, reference, varlen
from anymae.kernels.segments import Segments

from ..toys import segments

CASES = {
    "equal": ([5, 5, 5], [5, 5, 5]),
    "equal-crossed": ([3, 3], [7, 7]),
    "one-sample": ([4], [6]),
    "single-tokens": ([1, 1, 1], [1, 1, 1]),
    "ragged": ([3, 8, 1, 5], [3, 8, 1, 5]),
    "ragged-crossed": ([3, 8, 1, 5], [9, 2, 4, 1]),
    "one-question-each": ([1, 1, 1], [2, 9, 4]),
    "nothing-asked-of-some": ([0, 4, 0, 2], [3, 5, 1, 2]),
    "nothing-asked-at-all": ([0, 0], [3, 5]),
    "nothing-asked-of-equals": ([0, 0], [3, 3]),
    "near-lengths": ([8, 9, 10, 11, 12, 13], [10, 9, 8, 13, 12, 11]),
    "long-tail": ([2, 3, 2, 230, 3, 2, 195], [2, 3, 2, 230, 3, 2, 195]),
    "long-tail-crossed": ([2, 3, 200, 1], [200, 3, 2, 193]),
}
DENSE = [name for name, (q, k) in CASES.items() if len(set(q)) == len(set(k)) == 1 and q[0]]
HEADS, SIZE = 2, 16
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 4e-2}

either = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
every_case = pytest.mark.parametrize("case", CASES)


def through_dense(body, q, k, v, queries: Segments, keys: Segments) -> Tensor:
    """A dense body on packed tensors of equal lengths."""
    rows = [x.view(len(queries), -1, HEADS, SIZE) for x in (q, k, v)]
    return body(*rows).reshape(q.shape)


WAYS = {
    "dense-plain": partial(through_dense, dense.plain),
    "dense-fused": partial(through_dense, dense.fused),
    "grouped-plain": partial(grouped.attention, dense=dense.plain),
    "grouped-fused": partial(grouped.attention, dense=dense.fused),
    "dispatch": attention,
}


def tensors(q_lengths: list[int], k_lengths: list[int], device: str = "cpu"):
    queries, keys = segments(q_lengths), segments(k_lengths)
    made = [torch.randn(n.total, HEADS, SIZE, device=device) for n in (queries, keys, keys)]
    return (*made, queries, keys, torch.randn(queries.total, HEADS, SIZE, device=device))


def value_and_gradients(way, q, k, v, queries, keys, weight) -> list[Tensor]:
    leaves = [x.detach().clone().requires_grad_() for x in (q, k, v)]
    out = way(*leaves, queries, keys)
    assert out.shape == q.shape
    assert out.dtype == q.dtype
    out.backward(weight.to(out.dtype))
    return [out.detach(), *(leaf.grad for leaf in leaves)]


def assert_equal_to_reference(way, dtype, q, k, v, queries, keys, weight) -> None:
    q, k, v = (x.to(dtype) for x in (q, k, v))
    found = value_and_gradients(way, q, k, v, queries, keys, weight)
    exact = [x.float() for x in (q, k, v)]
    wanted = value_and_gradients(reference.attention, *exact, queries, keys, weight.to(dtype))
    tolerance = TOLERANCE[dtype]
    for name, a, b in zip(("value", "dq", "dk", "dv"), found, wanted, strict=True):
        torch.testing.assert_close(
            a.float(), b.float(), rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )


@either
@every_case
@pytest.mark.parametrize("way", [name for name in WAYS if not name.startswith("dense")])
def test_ragged_ways_equal_the_definition(way, case, dtype):
    assert_equal_to_reference(WAYS[way], dtype, *tensors(*CASES[case]))


@either
@pytest.mark.parametrize("case", DENSE)
@pytest.mark.parametrize("way", [name for name in WAYS if name.startswith("dense")])
def test_dense_ways_equal_the_definition(way, case, dtype):
    assert_equal_to_reference(WAYS[way], dtype, *tensors(*CASES[case]))


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 6)), min_size=1, max_size=6),
    st.sampled_from(["grouped-plain", "grouped-fused", "dispatch"]),
)
def test_any_lengths_equal_the_definition(pairs, way):
    q_lengths, k_lengths = map(list, zip(*pairs, strict=True))
    assert_equal_to_reference(WAYS[way], torch.float32, *tensors(q_lengths, k_lengths))


@pytest.mark.parametrize("body", [dense.plain, dense.fused], ids=["plain", "fused"])
def test_a_bias_of_minus_infinity_hides_keys(body):
    q, k, v = (torch.randn(2, 3, HEADS, SIZE) for _ in range(3))
    bias = torch.tensor([[[0, 0, -float("inf")]], [[0, 0, 0]]])
    found = body(q, k, v, bias)
    torch.testing.assert_close(found[:1], body(q[:1], k[:1, :2], v[:1, :2]))
    torch.testing.assert_close(found[1:], body(q[1:], k[1:], v[1:]))


@given(
    st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=30),
)
def test_groups_are_padded_by_a_quarter_at_most(pairs):
    q_lengths, k_lengths = map(list, zip(*pairs, strict=True))
    shapes = []

    def spy(q, k, v, bias):
        shapes.append((q.shape[:2], k.shape[:2]))
        return q

    queries, keys = segments(q_lengths), segments(k_lengths)
    q, k = (torch.zeros(n.total, 1, 1) for n in (queries, keys))
    grouped.attention(q, k, k, queries, keys, spy)
    assert sum(of_q[0] for of_q, _ in shapes) == len(pairs)
    for axis, real in enumerate((queries.total, keys.total)):
        computed = sum(shape[axis][0] * shape[axis][1] for shape in shapes)
        assert real <= computed <= grouped.SLACK * real


def test_the_definition_is_softmax_attention():
    q, k, v = (torch.randn(n, 1, SIZE) for n in (2, 3, 3))
    found = reference.attention(q, k, v, segments([2]), segments([3]))
    scores = (q[:, 0] @ k[:, 0].T / SIZE**0.5).exp()
    torch.testing.assert_close(found[:, 0], scores / scores.sum(1, keepdim=True) @ v[:, 0])


def test_samples_do_not_see_one_another():
    q, k, v, queries, keys, _ = tensors([3, 8, 1], [3, 8, 1])
    before = attention(q, k, v, queries, keys)
    k, v = k.clone(), v.clone()
    k[3:], v[3:] = 1e3, -1e3
    assert torch.equal(attention(q, k, v, queries, keys)[:3], before[:3])


# Which one runs

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SAME, RAGGED, LONG = [4, 4], [4, 5], [dispatch.PLAIN_LIMIT + 1] * 2
CHOICES = {
    "cpu-float32-equal": (CPU, torch.float32, SAME, "dense", "fused"),
    "cpu-float32-ragged": (CPU, torch.float32, RAGGED, "grouped", "fused"),
    "cpu-bfloat16-equal": (CPU, torch.bfloat16, SAME, "dense", "plain"),
    "cpu-bfloat16-ragged": (CPU, torch.bfloat16, RAGGED, "grouped", "plain"),
    "cpu-bfloat16-too-long": (CPU, torch.bfloat16, LONG, "dense", "fused"),
    "cuda-bfloat16-equal": (CUDA, torch.bfloat16, SAME, "dense", "fused"),
    "cuda-bfloat16-ragged": (CUDA, torch.bfloat16, RAGGED, "varlen", "fused"),
    "cuda-float16-ragged": (CUDA, torch.float16, RAGGED, "varlen", "fused"),
    "cuda-float32-ragged": (CUDA, torch.float32, RAGGED, "grouped", "fused"),
}


@pytest.mark.parametrize("case", CHOICES)
def test_the_choice_is_the_documented_one(case):
    device, dtype, of, shape, body = CHOICES[case]
    choice = choose(device, dtype, segments(of), segments(of))
    assert (choice.shape, choice.body) == (shape, body)
    assert choice.why


def test_equal_questions_to_ragged_memories_are_ragged():
    choice = choose(CPU, torch.float32, segments([2, 2]), segments([3, 4]))
    assert choice.shape == "grouped"


# On a GPU


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every_case
@pytest.mark.parametrize("way", ["varlen", "grouped-fused", "dispatch"])
def test_cuda_equals_the_definition(way, case):
    ways = {**WAYS, "varlen": varlen.attention}
    assert_equal_to_reference(ways[way], torch.bfloat16, *tensors(*CASES[case], device="cuda"))
