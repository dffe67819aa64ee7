"""Surfaces and counts of sets of points, against loops over sets and shapes that are known."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import anymae
from anymae.errors import IncompatibleRecipe
from anymae.kernels.segments import Segments
from anymae.losses import AbsoluteLoss
from anymae.targets import Count, Surface
from anymae.tokens import OBSERVED, Packed

from ..toys import Toy


class Sets(Toy):
    """Tokens of eight points of four numbers."""

    provides: ClassVar[frozenset[str]] = frozenset({"sets"})
    features: int = 32

    @property
    def token_shape(self) -> tuple[int, int]:
        return (8, 4)


def packed(points: np.ndarray, known: np.ndarray | None = None) -> Packed:
    """Sets (A, 8, 3) with a number beside each point, as tokens of one sample."""
    beside = np.full((*points.shape[:2], 1), 7.0)
    values = torch.from_numpy(np.concatenate([points, beside], 2)).float().flatten(1)
    side = {}
    if known is not None:
        side[OBSERVED] = torch.from_numpy(known).repeat_interleave(4, 1)
        values = values * side[OBSERVED]
    return Packed(values, torch.zeros(len(values), 3), Segments.of_lengths([len(values)]), side)


def of(points: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    return Surface().of(Sets(), packed(points, known)).double().numpy()


@given(st.integers(0, 20))
def test_variation_and_normal_are_those_of_the_known_points(seed):
    draw = np.random.default_rng(seed)
    points = draw.normal(size=(5, 8, 3)) * [3, 2, 1] + draw.normal(size=3)
    known = draw.random((5, 8)) < 0.8
    known[:, :4] = True
    found = of(points, known)
    for i in range(5):
        values, vectors = np.linalg.eigh(np.cov(points[i][known[i]].T, bias=True))
        assert found[i, 0] == pytest.approx(values[0] / values.sum(), abs=1e-4)
        assert abs(found[i, 1:] @ vectors[:, 0]) == pytest.approx(1, abs=1e-3)
        assert found[i, 1:].max() == np.abs(found[i, 1:]).max()  # the largest is positive


def test_a_plane_does_not_bend_and_lies_across_its_normal():
    draw = np.random.default_rng(0)
    normal = np.array([1.0, -2.0, 0.5]) / np.linalg.norm([1.0, -2.0, 0.5])
    flat = draw.normal(size=(3, 8, 3))
    flat -= (flat @ normal)[..., None] * normal
    found = of(flat + 2.0)
    np.testing.assert_allclose(found[:, 0], 0, atol=1e-6)
    np.testing.assert_allclose(np.abs(found[:, 1:] @ normal), 1, atol=1e-5)


def test_a_ball_bends_most_at_every_scale():
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    np.testing.assert_allclose(of(np.stack([corners, 1e-3 * corners]))[:, 0], 1 / 3, atol=1e-5)


def test_points_on_a_line_have_no_normal():
    line = np.arange(8.0)[:, None] * [1.0, 2.0, 3.0]
    alone = np.zeros((8, 3))
    found = of(np.stack([line, alone]))
    np.testing.assert_allclose(found, 0, atol=1e-6)
    scores = Surface().score(
        Sets(), AbsoluteLoss(), torch.tensor([[0.5, 1.0, 2.0, 3.0]] * 2),
        torch.from_numpy(found), packed(np.stack([line, alone])),
    )  # fmt: skip
    torch.testing.assert_close(scores, torch.tensor([0.5, 0.5]), check_dtype=False)


@given(st.integers(0, 20))
def test_the_score_is_the_papers_without_signs(seed):
    draw = np.random.default_rng(seed)
    said, points = draw.normal(size=(4, 4)), draw.normal(size=(4, 8, 3))
    target = of(points)
    args = Sets(), AbsoluteLoss(), torch.from_numpy(said)
    found = Surface(weight=2.0).score(*args, torch.from_numpy(target), packed(points))
    length = np.linalg.norm(said[:, 1:], axis=1)
    cosine = np.abs((said[:, 1:] * target[:, 1:]).sum(1)) / length
    wanted = np.abs(said[:, 0] - target[:, 0]) + 2 * (1 - cosine + 0.1 * (length - 1) ** 2)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    flipped = torch.from_numpy(target * [1, -1, -1, -1])
    torch.testing.assert_close(Surface(weight=2.0).score(*args, flipped, packed(points)), found)


def test_points_are_counted():
    known = np.zeros((3, 8), bool)
    known[0, :5] = known[1, :1] = True
    points = np.ones((3, 8, 3))
    assert Count().of(Sets(), packed(points, known))[:, 0].tolist() == [5, 1, 0]
    assert Count().of(Sets(), packed(points))[:, 0].tolist() == [8, 8, 8]


@pytest.mark.parametrize("name", ["maskfeat3d", "voxelmae"])
def test_other_modalities_have_no_sets(name):
    with pytest.raises(IncompatibleRecipe, match=r"needs sets.*image"):
        anymae.recipes()[name].check(anymae.modalities()["image"]())
