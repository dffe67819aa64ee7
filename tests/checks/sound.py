"""Two adapters that keep every promise: one that overrides nearly all methods, and one with missing
values, an embedding and a loss of its own."""

from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from anymae.adapter import Adapter
from anymae.errors import BadConfig, BadInput
from anymae.tokens import OBSERVED, Packed, Tokens

FEATURES = 4


def field(sample: Any, missing: bool = False) -> np.ndarray:
    """A sample as a (rows, columns, 4) float array, or ``BadInput``."""
    try:
        array = np.asarray(sample, dtype=np.float32)
    except (TypeError, ValueError):
        raise BadInput("not a field", found=type(sample).__name__) from None
    if array.ndim != 3 or array.shape[2] != FEATURES or not array.size:
        raise BadInput("not a field", found=f"shape {array.shape}", expected="(rows, columns, 4)")
    if np.isinf(array).any() or (np.isnan(array).any() and not missing):
        raise BadInput("a field must be finite")
    return array


def coords_of(rows: int, columns: int) -> Tensor:
    return torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).view(-1, 2)


def slopes(seed: int) -> np.ndarray:
    """A field of 4 or 5 rows that rises and falls evenly, so that a part tells the rest."""
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : 4 + seed % 2, 0:5] / 4
    level, down, right = draw.normal(size=(3, FEATURES))
    return level + rows[..., None] * down + columns[..., None] * right + 20


class Fields(Adapter):
    """Samples are (rows, columns, 4) arrays around 20; each cell is a token."""

    name: ClassVar[str] = "fields"
    extensions: ClassVar[tuple[str, ...]] = (".field",)
    provides: ClassVar[frozenset[str]] = frozenset({"grid"})

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @property
    def token_dim(self) -> int:
        return FEATURES

    @property
    def coord_dim(self) -> int:
        return 2

    def example(self, seed: int) -> Any:
        return slopes(seed)

    def read(self, file: BinaryIO, name: str) -> Any:
        content = file.read()
        if len(content) != 4 * 5 * FEATURES * 4:
            raise BadInput("not a field", where=name, found=f"{len(content)} bytes")
        return np.frombuffer(content, np.float32).reshape(4, 5, FEATURES)

    def fit(self, samples: Iterable[Any]) -> Self:
        cells = np.concatenate([field(s).reshape(-1, FEATURES) for s in samples])
        return self.model_copy(
            update={
                "mean": self.mean or tuple(cells.mean(0).tolist()),
                "std": self.std or tuple(cells.std(0).tolist()),
            }
        )

    def _scale(self) -> tuple[Tensor, Tensor]:
        if self.mean is None or self.std is None:
            raise BadConfig("not fitted")
        return torch.tensor(self.mean), torch.tensor(self.std)

    def tokenize(self, sample: Any) -> Tokens:
        array = field(sample)
        mean, std = self._scale()
        values = (torch.from_numpy(array.copy()).flatten(0, 1) - mean) / std
        return Tokens(values, coords_of(*array.shape[:2]))

    def batch_tokenize(self, samples: Sequence[Any], device: torch.device | str = "cpu") -> Packed:
        tokens = [self.tokenize(sample) for sample in samples]
        return Packed.of(tokens).to(device)

    def untokenize(self, tokens: Tokens) -> Any:
        rows, columns = (int(n) + 1 for n in tokens.coords.amax(0))
        mean, std = self._scale()
        grid = torch.full((rows, columns, FEATURES), float("nan"))
        grid[tokens.coords[:, 0], tokens.coords[:, 1]] = tokens.values * std + mean
        return grid.numpy()

    def augment(self, sample: Any, generator: torch.Generator) -> Any:
        return field(sample)[:: 1 if torch.rand((), generator=generator) < 0.5 else -1]

    def raw_features(self, tokens: Tokens) -> Tensor:
        return tokens.values.mean(0)

    def draw(self, axes: Any, sample: Any) -> None:
        axes.imshow(np.nan_to_num(sample)[..., 0])


class MaskedEmbedding(nn.Module):
    """Values where they are known, and which are."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(2 * FEATURES, width)

    def forward(self, visible: Packed) -> Tensor:
        known = visible.side[OBSERVED].float()
        return self.project(torch.cat([visible.values * known, known], 1))


class Patchy(Adapter):
    """Fields with missing numbers (NaN)."""

    name: ClassVar[str] = "patchy"

    @property
    def token_dim(self) -> int:
        return FEATURES

    @property
    def coord_dim(self) -> int:
        return 2

    def example(self, seed: int) -> Any:
        sample = slopes(seed) - 20
        return np.where(np.random.default_rng(seed).random(sample.shape) < 0.2, np.nan, sample)

    def tokenize(self, sample: Any) -> Tokens:
        array = field(sample, missing=True)
        values = torch.from_numpy(array.copy()).flatten(0, 1)
        return Tokens(
            values.nan_to_num(), coords_of(*array.shape[:2]), {OBSERVED: values.isfinite()}
        )

    def embed(self, width: int) -> nn.Module:
        return MaskedEmbedding(width)
