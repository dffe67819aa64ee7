"""Histograms of gradients, against scikit-image's gradients and its votes.

Its ``hog`` differs by design. It takes central differences where ours takes Sobel's, which are four
times those on an image that is a function of its row plus a function of its column, but for the
outermost pixels; it measures angles from the other axis, so it is shown the image transposed; it
averages over a cell, which no norm sees; it normalises blocks of cells, here of one; of colours it
takes the strongest at each pixel, so it is shown one at a time; and it adds 1e-5 to lengths, which
here are too large to notice. Of other images Sobel's gradients are compared, and votes for them.
"""

import numpy as np
import pytest
import torch

from anymae.targets.hog import histograms

feature = pytest.importorskip("skimage.feature")
filters = pytest.importorskip("skimage.filters")

ROWS, COLUMNS = 24, 36


def ours(image: np.ndarray, bins: int, cell: int) -> np.ndarray:
    """(C, H, W) to (C, H / cell, W / cell, bins)."""
    return histograms(torch.from_numpy(image)[:, None], bins, cell).permute(0, 2, 3, 1).numpy()


def gradients(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Magnitudes and unsigned angles from the vertical, in [0, pi), both (H, W)."""
    down, across = (filters.sobel(image, axis=axis, mode="mirror") for axis in (0, 1))
    return np.hypot(across, down), np.arctan2(across, down) % np.pi % np.pi


@pytest.mark.parametrize(("bins", "cell"), [(9, 4), (9, 3), (8, 6), (12, 2), (7, 1), (18, 4)])
def test_votes_of_inner_cells(bins, cell):
    draw = np.random.default_rng(bins)
    rows, columns = draw.normal(size=(3, ROWS, 1)), draw.normal(size=(3, 1, COLUMNS))
    image = 1000 * (rows + columns)
    found = ours(image, bins, cell)
    for colour, own in zip(image, found, strict=True):
        expected = feature.hog(
            colour.T, orientations=bins, pixels_per_cell=(cell, cell), cells_per_block=(1, 1),
            block_norm="L2", feature_vector=False,
        )[:, :, 0, 0].transpose(1, 0, 2)  # fmt: skip
        inner = slice(1, -1), slice(1, -1)
        # Its sums are of single precision.
        np.testing.assert_allclose(own[inner], expected[inner], rtol=0, atol=1e-6)


def test_directions_of_every_pixel():
    """With cells of one pixel and many bins, a histogram says a gradient's direction alone."""
    image = np.random.default_rng(0).normal(size=(2, ROWS, COLUMNS)).cumsum(1)
    bins = 179  # an odd number: no bin ends at the right angle that gradients have at the border
    found = ours(image, bins, 1)
    for colour, own in zip(image, found, strict=True):
        magnitude, angle = gradients(colour)
        which = np.floor(angle / np.pi * bins).astype(int)
        there = magnitude > 1e-9  # the corners have no gradient
        assert there.sum() == ROWS * COLUMNS - 4
        np.testing.assert_array_equal(own.argmax(2)[there], which[there])
        np.testing.assert_allclose(own.max(2), there, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("bins", "cell"), [(9, 4), (9, 6), (5, 12), (9, 2)])
def test_magnitudes_as_votes(bins, cell):
    """Cells at the border included: both filters mirror the image there."""
    image = np.random.default_rng(1).normal(size=(2, ROWS, COLUMNS)).cumsum(2)
    found = ours(image, bins, cell)
    for colour, own in zip(image, found, strict=True):
        magnitude, angle = gradients(colour)
        for place in np.ndindex(own.shape[:2]):
            box = tuple(slice(i * cell, (i + 1) * cell) for i in place)
            votes, _ = np.histogram(angle[box], bins, (0, np.pi), weights=magnitude[box])
            expected = votes / np.linalg.norm(votes)
            np.testing.assert_allclose(own[place], expected, rtol=0, atol=1e-12)


def test_what_is_flat_has_no_direction():
    """Rounding is no gradient: nothing there is normalised to length 1, in any precision."""
    draw = torch.Generator().manual_seed(0)
    image = torch.randn(200, 1, 1, generator=draw).repeat(1, 24, 24)
    image[:, 10:14, 10:14] = torch.randn(200, 4, 4, generator=draw)
    flat = np.ones((6, 6), bool)
    flat[2:4, 2:4] = False
    for colour, own in zip(image.numpy(), ours(image.numpy(), 9, 4), strict=True):
        expected = feature.hog(
            colour.T, orientations=9, pixels_per_cell=(4, 4), cells_per_block=(1, 1),
            block_norm="L2", feature_vector=False,
        )[:, :, 0, 0].transpose(1, 0, 2)  # fmt: skip
        assert not expected[flat].any()
        assert not own[flat].any()
        assert own[~flat].any(1).all()


def test_other_votes_would_be_seen():
    """Negative control: angles from the other axis give other histograms."""
    draw = np.random.default_rng(2)
    image = draw.normal(size=(1, ROWS, 1)) + draw.normal(size=(1, 1, COLUMNS))
    expected = feature.hog(
        image[0], orientations=9, pixels_per_cell=(4, 4), cells_per_block=(1, 1),
        block_norm="L2", feature_vector=False,
    )[:, :, 0, 0]  # fmt: skip
    assert np.abs(ours(image, 9, 4)[0] - expected).max() > 0.1
