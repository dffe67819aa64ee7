"""A modality of ragged samples for the tests of evaluation."""

from typing import Any, ClassVar

import numpy as np
import torch

from anymae.adapter import Adapter
from anymae.tokens import Tokens


class Walks(Adapter):
    """Walks in the plane of any length: a token is one step."""

    name: ClassVar[str] = "walks"
    noise: float = 0.0

    @property
    def token_dim(self) -> int:
        return 2

    @property
    def coord_dim(self) -> int:
        return 1

    def tokenize(self, sample: Any) -> Tokens:
        values = torch.as_tensor(sample, dtype=torch.float32)
        return Tokens(values, torch.arange(len(values)).float()[:, None])

    def augment(self, sample: Any, generator: torch.Generator) -> Any:
        return torch.as_tensor(sample) + self.noise * torch.randn(sample.shape, generator=generator)

    def example(self, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).normal(size=(8, 2)).astype(np.float32)


def walks(count: int, ragged: bool = True, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """Walks with a drift, and its direction: -1.0 to 1.0."""
    draw = np.random.default_rng(seed)
    drift = draw.uniform(-1, 1, size=count)
    lengths = draw.integers(4, 9, size=count) if ragged else [6] * count
    samples = [
        np.stack([d + 0.1 * draw.normal(size=n), draw.normal(size=n)], 1).astype(np.float32)
        for d, n in zip(drift, lengths, strict=True)
    ]
    return samples, drift.astype(np.float32)
