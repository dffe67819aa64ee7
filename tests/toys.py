"""A small adapter, batches of it and ways to draw their shapes, for the tests of the core."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from anymae import draws
from anymae.adapter import Adapter
from anymae.encoder import EncoderConfig
from anymae.kernels.segments import Segments
from anymae.model import Model
from anymae.recipe import Recipe
from anymae.recipes.pixels import MAE
from anymae.tokens import Packed, Tokens

ENCODER = EncoderConfig(width=16, depth=2, heads=2)

ragged = st.lists(st.integers(1, 9), min_size=1, max_size=6)
equal = st.tuples(st.integers(1, 9), st.integers(1, 6)).map(lambda n: [n[0]] * n[1])
lengths = st.one_of(ragged, equal)
"""Lengths of the samples of a batch, as often equal as ragged, length 1 included."""

side = st.integers(1, 5)
shapes = st.one_of(
    st.lists(st.tuples(side, side), min_size=1, max_size=5),
    st.tuples(side, side, st.integers(1, 5)).map(lambda n: [n[:2]] * n[2]),
)
"""Grids (rows, columns) of the samples of a batch."""


class Toy(Adapter):
    """Samples are (rows, columns, 6) arrays; each cell is a token at its row and column."""

    name: ClassVar[str] = "toy"
    provides: ClassVar[frozenset[str]] = frozenset({"grid"})

    features: int = 6

    @property
    def token_dim(self) -> int:
        return self.features

    @property
    def coord_dim(self) -> int:
        return 2

    def tokenize(self, sample: Any) -> Tokens:
        values = torch.as_tensor(sample, dtype=torch.float32)
        rows, columns = values.shape[:2]
        coords = torch.cartesian_prod(torch.arange(rows), torch.arange(columns))
        return Tokens(values.flatten(0, 1), coords.view(-1, 2))

    def untokenize(self, tokens: Tokens) -> np.ndarray:
        rows = int(tokens.coords[:, 0].max()) + 1
        return tokens.values.view(rows, -1, self.features).numpy()

    def example(self, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).normal(size=(4, 6, self.features))


def batch(shapes: Sequence[tuple[int, int]], seed: int = 0, features: int = 6) -> Packed:
    """Random samples of the toy adapter, with keys."""
    draw = torch.Generator().manual_seed(seed)
    toy = Toy(features=features)
    samples = [torch.randn(*shape, features, generator=draw) for shape in shapes]
    return toy.batch_tokenize(samples).with_keys(keys(len(samples), seed))


def line(lengths: Sequence[int], seed: int = 0) -> Packed:
    """Samples of the given lengths, their tokens in a row."""
    return batch([(1, n) for n in lengths], seed)


def keys(count: int, seed: int = 0) -> Tensor:
    return torch.tensor([draws.key(seed, i, "toy") for i in range(count)])


def segments(lengths: Sequence[int]) -> Segments:
    return Segments.of_lengths(lengths)


def shaken(model: torch.nn.Module) -> torch.nn.Module:
    """The module with every parameter away from its simple initial value."""
    draw = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=draw)
    return model.eval()


def model(recipe: Recipe = MAE, encoder: EncoderConfig = ENCODER, **options: Any) -> Model:
    return shaken(Model(Toy(**options), recipe, encoder))
