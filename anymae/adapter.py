"""Adapter: what a modality must say about its data, and nothing else.

An adapter is a frozen pydantic model: its fields are the user's ``modality_options`` and what
``fit`` learned from the data, so a checkpoint rebuilds it from JSON. Concrete adapters are final.
Five things are required (``name``, ``token_dim``, ``coord_dim``, ``tokenize``, ``example``);
everything else has a default that suits tokens of a fixed size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Self

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from anymae.errors import BadConfig, BadInput
from anymae.losses import Loss
from anymae.positions import Position
from anymae.tokens import OBSERVED, Packed, Tokens


class LinearEmbedding(nn.Module):
    """A linear map of a token's values: ``forward(packed)`` gives (T, width).

    It receives visible tokens only.
    """

    def __init__(self, token_dim: int, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(token_dim, width)

    def forward(self, visible: Packed) -> Tensor:
        return self.project(visible.values)


class LinearHead(nn.Module):
    """A linear map from decoder tokens to predictions: ``forward(x, coords)`` gives (A, out)."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, out)

    def forward(self, x: Tensor, coords: Tensor) -> Tensor:
        return self.project(x)


class Adapter(BaseModel, ABC):
    """How one kind of data becomes tokens and back."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str]
    """The modality's registered name."""
    extensions: ClassVar[tuple[str, ...]] = ()
    """File endings that ``read`` understands, lower case with the dot."""
    provides: ClassVar[frozenset[str]] = frozenset()
    """What recipes may need: any of ``grid``, ``time``, ``edges``, ``pixels``, ``sets``."""
    pair_is_sample: ClassVar[bool] = False
    """Whether a tuple of two is one sample, e.g. (waveform, rate), and not (sample, label)."""
    fit_samples: ClassVar[int] = 1024
    """How many samples ``fit`` is shown, evenly spaced over the data."""

    def fitted(self, field: str) -> Any:
        """A field that ``fit`` learns where the user leaves it None. Raises ``BadConfig`` while it
        is not known."""
        value = getattr(self, field)
        if value is None:
            raise BadConfig(
                f"the {self.name} adapter does not know its {field} yet",
                hint=f"Call adapter.fit(samples), or give {field}.",
            )
        return value

    # -- what every adapter must say ---------------------------------------------------------

    @property
    @abstractmethod
    def token_dim(self) -> int:
        """F, numbers a token. Known after ``fit``."""

    @property
    @abstractmethod
    def coord_dim(self) -> int:
        """P, coordinates a token."""

    @abstractmethod
    def tokenize(self, sample: Any) -> Tokens:
        """One sample as tokens: deterministic, no gradient. Raises ``BadInput``."""

    @abstractmethod
    def example(self, seed: int) -> Any:
        """A small valid sample for tests and the conformance kit."""

    @property
    def token_shape(self) -> tuple[int, ...]:
        """The axes that a token's F numbers are laid out on, e.g. (rows, columns, channels) of a
        patch or (points, numbers a point) of a set; their product is F."""
        return (self.token_dim,)

    @property
    def edge_dim(self) -> int:
        """Numbers that an edge holds, 0 without."""
        return 0

    # -- data -------------------------------------------------------------------------------

    def native(self, dataset: Any) -> Sequence[Any] | tuple[Sequence[Any], Any] | None:
        """A container only this modality knows (a DataFrame, a graph batch) as a sequence of
        samples, or (samples, labels); None if the general sources should read it. A method
        ``where(index)`` of the sequence names a sample's place in errors (file and row)."""
        return None

    def native_labelled(self, dataset: Any, name: str) -> tuple[Sequence[Any], Any]:
        """Samples and labels of a container that ``native`` knows, labels being what it calls
        ``name``, which is then no part of the samples. Raises ``BadInput``."""
        raise BadInput(
            f"{self.name} data of this kind have no labels by name",
            found=repr(name),
            hint="Pass the labels themselves, one a sample.",
        )

    def read(self, file: BinaryIO, name: str) -> Any:
        """One sample from an open binary file called ``name``. Raises ``BadInput``."""
        raise BadInput(
            f"the {self.name} adapter reads no files",
            where=name,
            hint="Pass arrays or a torch Dataset.",
        )

    def fit(self, samples: Iterable[Any]) -> Self:
        """An adapter completed by what a look at the data tells (sizes, statistics).

        ``samples`` are at most ``fit_samples``. Called once before training; the result is saved.
        """
        return self

    def augment(self, sample: Any, generator: torch.Generator) -> Any:
        """A random variation of a sample for pretraining; draws only from ``generator``."""
        return sample

    def batch_tokenize(self, samples: Sequence[Any], device: torch.device | str = "cpu") -> Packed:
        """Many samples at once, on a device; must equal packing ``tokenize`` of each."""
        return Packed.of([self.tokenize(sample) for sample in samples]).to(device)

    def untokenize(self, tokens: Tokens) -> Any:
        """The sample again, in the data's own units: the inverse of ``tokenize``."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to undo tokenize")

    def raw_features(self, tokens: Tokens) -> Tensor | None:
        """(n,) numbers that stand for the raw sample in evaluations; None: its token values,
        flattened if every sample has as many, else their mean and standard deviation."""
        return None

    # -- model ------------------------------------------------------------------------------

    def numbers(self, recipe: str) -> Mapping[str, Any]:
        """This modality's own dotted settings for a recipe, of its slots, its training and the
        encoder, e.g. ``{"mask.ratio": 0.9, "encoder.cls": False}``. Asked before
        ``fit`` and after."""
        return {}

    def embed(self, width: int) -> nn.Module:
        """A module ``forward(visible: Packed) -> (T, width)``."""
        return LinearEmbedding(self.token_dim, width)

    def place(self, position: Position, width: int) -> nn.Module:
        """A module ``forward(coords (T, P)) -> (T, width)``: the recipe's position."""
        return position.build(self.coord_dim, width)

    def head(self, width: int, out: int) -> nn.Module:
        """A module ``forward(x (A, width), coords (A, P)) -> (A, out)``."""
        return LinearHead(width, out)

    def target(self, packed: Packed) -> Tensor:
        """(T, F): the content a prediction is compared with, before any normalisation."""
        return packed.values

    def content_loss(self, loss: Loss, prediction: Tensor, target: Tensor, asked: Packed) -> Tensor:
        """(A,) how far predicted content is from the true one: the recipe's loss on what is known.
        Override where content is not a vector of comparable numbers."""
        return loss.per_token(prediction, target, asked.side.get(OBSERVED), self.token_shape)

    def as_content(self, prediction: Tensor, asked: Packed) -> Tensor:
        """The content (A, F) that a prediction says: itself, unless the two have other units
        (logits and classes). ``as_prediction`` is its inverse."""
        return prediction

    def as_prediction(self, content: Tensor, asked: Packed) -> Tensor:
        """The prediction that says this content, or this mean of contents."""
        return content

    # -- pictures ---------------------------------------------------------------------------

    def draw(self, axes: Any, sample: Any) -> None:
        """Draw one sample (as ``untokenize`` returns it) on matplotlib axes."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to draw a sample")


def read_file(adapter: Adapter, path: Path | str) -> Any:
    """One sample from a file on disk; every failure is a ``BadInput`` that names the file."""
    try:
        with open(path, "rb") as file:
            return adapter.read(file, str(path))
    except OSError as error:
        raise BadInput(
            f"cannot be read: {error.strerror or error}", where=path, hint="Check the path."
        ) from None
