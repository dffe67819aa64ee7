"""Impute: a data set with its missing tokens filled by a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from anymae.data.batches import read_batch
from anymae.data.sources import open_source
from anymae.errors import BadConfig
from anymae.evaluation.imputation.answering import answers, refuse_other_targets
from anymae.model import Model
from anymae.precision import resolve
from anymae.tokens import Packed, Tokens

BATCH = 256


@runtime_checkable
class Fillable(Protocol):
    """What an adapter must say so that its samples can be filled."""

    def blanks(self, tokens: Tokens) -> Tokens:
        """The tokens that a sample lacks, with empty values."""

    def refill(self, dataset: Any, samples: Sequence[Any]) -> Any:
        """A data set with what is missing taken from complete samples."""


def impute(model: Model, dataset: Any, *, precision: str = "auto") -> Any:
    """A data set with its missing tokens (the missing cells of a table) filled, in its own units
    and its own form: a DataFrame gives a DataFrame; what is there stays as it is.

    Each sample is filled in one pass from what it has. Raises ``BadConfig`` for models whose
    modality or recipe cannot say what is missing, ``BadInput`` for data.
    """
    adapter = model.adapter
    if not isinstance(adapter, Fillable):
        raise BadConfig(f"the {adapter.name} adapter does not say what a sample lacks")
    refuse_other_targets(model)
    source = open_source(dataset, adapter)
    kind = resolve(precision, next(model.parameters()).device)
    filled: list[Any] = []
    for start in range(0, len(source), BATCH):
        indices = range(start, min(start + BATCH, len(source)))
        whole, missing = _completed(adapter, read_batch(source, adapter, indices, 0, "impute"))
        if missing.any():
            values = whole.values.clone()
            values[missing] = answers(model, whole, missing, kind)
            whole = replace(whole, values=values)
        filled += [model.adapter.untokenize(tokens) for tokens in whole.split()]
    return adapter.refill(dataset, filled)


def _completed(adapter: Fillable, packed: Packed) -> tuple[Packed, Tensor]:
    """A batch with its samples' blanks behind their tokens, and (T,) which those are."""
    samples, missing = [], []
    for tokens in packed.split():
        blanks = adapter.blanks(tokens)
        samples.append(
            replace(
                tokens,
                values=torch.cat([tokens.values, blanks.values]),
                coords=torch.cat([tokens.coords, blanks.coords]),
                side={k: torch.cat([v, blanks.side[k]]) for k, v in tokens.side.items()},
            )
        )
        missing.append(torch.arange(len(samples[-1])) >= len(tokens))
    return Packed.of(samples).with_keys(packed.drawing_keys), torch.cat(missing)
