"""Initial weights: MAE's rule, a function of the seed, whatever the global generator does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from anymae import draws


@contextmanager
def seeded(seed: int, purpose: str) -> Iterator[None]:
    """torch's CPU generator seeded inside, and as it was outside."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draws.key(seed, purpose))
        yield


def initialise(module: nn.Module) -> None:
    """Xavier-uniform linear weights with zero bias (He et al. 2022); other layers keep the
    initialisation they were built with, layer norms being 1 and 0 already."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
