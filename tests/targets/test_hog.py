"""Histograms of oriented gradients, against pixel-by-pixel loops."""

import math

import numpy as np
import pytest
import torch

from anymae.errors import IncompatibleRecipe
from anymae.masks import Mask
from anymae.modalities.image.adapter import ImageAdapter
from anymae.model import Model
from anymae.recipe import Recipe
from anymae.targets import Hog

from ..toys import ENCODER, Toy


def by_loops(image: np.ndarray, bins: int, cell: int) -> np.ndarray:
    """(H, W) to (H / cell, W / cell, bins), from the sentence that defines it."""
    padded = np.pad(image, 1, mode="reflect")
    rows, columns = image.shape
    found = np.zeros((rows // cell, columns // cell, bins))
    for i in range(rows):
        for j in range(columns):
            box = padded[i : i + 3, j : j + 3]
            across = (box[:, 0] - box[:, 2]) @ [1, 2, 1]
            down = (box[0] - box[2]) @ [1, 2, 1]
            which = math.floor(math.atan2(across, down) / math.pi * bins) % bins
            found[i // cell, j // cell, which] += math.hypot(across, down)
    length = np.linalg.norm(found, axis=2, keepdims=True)
    return found / np.where(length > 0, length, 1)


def fitted(images, **options) -> ImageAdapter:
    return ImageAdapter(patch_size=4, **options).fit(list(images))


@pytest.mark.parametrize(("cell", "channels"), [(2, 1), (4, 3)])
def test_histograms_equal_loops(cell, channels):
    images = np.random.default_rng(0).normal(size=(2, 8, 12, channels)).astype(np.float32)
    adapter = fitted(images)
    packed = adapter.batch_tokenize(list(images)).with_keys(torch.arange(2))
    target = Hog(cell=cell)
    recipe = Recipe(name="x", paper="p", year=2020, summary="s", target=target)
    net = Model(adapter, recipe, ENCODER)
    roles = Mask().draw(packed)
    asked = packed.select(roles.ask, roles.of_ask)
    found = target.of(adapter, asked, net.scene(packed, roles))
    assert found.shape == (len(roles.ask), target.width(adapter))
    standard = (images - np.array(adapter.mean)) / np.array(adapter.std)
    per_side = 4 // cell
    for row, place in zip(found.numpy(), roles.ask.tolist(), strict=True):
        image, token = divmod(place, 6)
        i, j = divmod(token, 3)
        wanted = [
            by_loops(standard[image, :, :, c], 9, cell)[
                i * per_side : (i + 1) * per_side, j * per_side : (j + 1) * per_side
            ]
            for c in range(channels)
        ]
        wanted = np.stack(wanted, 2)  # cells down, cells across, channels, bins
        np.testing.assert_allclose(row, wanted.ravel(), atol=1e-4)


def test_other_modalities_are_refused_by_name():
    recipe = Recipe(name="x", paper="p", year=2020, summary="s", target=Hog())
    with pytest.raises(IncompatibleRecipe, match="hog needs pixels, which the toy"):
        Model(Toy(), recipe, ENCODER)


def test_a_cell_that_does_not_divide_the_patch_is_refused():
    adapter = fitted(np.random.default_rng(0).normal(size=(2, 8, 8)))
    with pytest.raises(IncompatibleRecipe, match="cell must divide the patch"):
        Hog(cell=3).width(adapter)
