"""What a trained model does with data: features and reconstructions.

``embed`` never masks and draws nothing; ``reconstruct`` draws its masks from its own seed.

Shapes: B samples, T tokens, D width, F numbers a token.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anymae import pooling
from anymae.data.batches import read_batch
from anymae.data.sources import Source, open_source
from anymae.encoder import Latents
from anymae.errors import BadConfig
from anymae.masks import Roles
from anymae.model import Model
from anymae.precision import Precision, autocast
from anymae.targets import Content
from anymae.tokens import OBSERVED, Packed, Tokens

TOKENS_AT_ONCE = 32768
"""Tokens encoded at once where no batch size is given."""


@torch.no_grad()
def embed(
    model: Model,
    dataset: Any,
    *,
    pool: str | None = "mean",
    layer: int = -1,
    batch_size: int | None = None,
    precision: Precision = "fp32",
) -> NDArray[np.float32] | list[NDArray[np.float32]]:
    """See ``Model.embed``. ``precision`` is that of the matrix products; features are float32."""
    layer = _checked_layer(model, layer)
    kinds = None if pool is None else pooling.parsed(pool, model.encoder.config)
    source = open_source(dataset, model.adapter)
    device = next(model.parameters()).device
    rows: list[np.ndarray] = []
    was_training = model.training
    model.eval()
    try:
        for packed in batches_of(model, source, batch_size):
            with autocast(device, precision):
                latents = model.encode(packed.to(device), taps=(layer,))
            last = layer == model.encoder.config.depth - 1
            x = latents.x if last else latents.taps[0]
            rows += _rows(latents, x.float(), kinds)
    finally:
        model.train(was_training)
    return rows if pool is None else np.stack(rows)


def batches_of(model: Model, source: Source, batch_size: int | None = None) -> Iterator[Packed]:
    """The samples of a source in order, packed; the batch size follows the first sample."""
    if not len(source):
        raise BadConfig("the data set is empty", found="0 samples")
    if batch_size is None:
        first = read_batch(source, model.adapter, [0])
        batch_size = max(1, min(512, TOKENS_AT_ONCE // first.segments.total))
    for start in range(0, len(source), batch_size):
        stop = min(start + batch_size, len(source))
        yield read_batch(source, model.adapter, range(start, stop), 0, "embed")


def _checked_layer(model: Model, layer: int) -> int:
    depth = model.encoder.config.depth
    if not -depth <= layer < depth:
        raise BadConfig("no such layer", found=layer, expected=f"{-depth} to {depth - 1}")
    return layer % depth


def _rows(latents: Latents, x: Tensor, kinds: tuple[str, ...] | None) -> list[np.ndarray]:
    if kinds is not None:
        return list(pooling.pooled(latents, kinds, x).cpu().numpy())
    lengths = latents.of_tokens.lengths.tolist()
    return [part.cpu().numpy() for part in latents.tokens(x).split(lengths)]


@dataclass(frozen=True)
class Reconstruction:
    """Samples before, hidden in part, and rebuilt, in the data's own units.

    ``original``, ``masked`` (hidden tokens are missing: see the adapter) and ``reconstruction``
    (visible tokens pasted back) are lists with one entry a sample.
    """

    original: list[Any]
    masked: list[Any]
    reconstruction: list[Any]
    adapter: Any

    def plot(self, path: str | Path | None = None, columns: int = 8) -> Any:
        """A figure with the first ``columns`` samples; saved to ``path`` if given."""
        from anymae.report.pictures import plot_reconstruction

        return plot_reconstruction(self, path, columns)


@torch.no_grad()
def reconstruct(
    model: Model, dataset: Any, *, mask_ratio: float | None = None, seed: int = 0
) -> Reconstruction:
    """See ``Model.reconstruct``. Raises ``BadConfig`` for recipes that do not predict content."""
    target = model.recipe.target
    if not isinstance(target, Content):
        raise BadConfig(
            f"recipe {model.recipe.name!r} predicts {target.kind}, which is not the sample itself",
            hint="Only recipes with target=content can reconstruct.",
        )
    mask = model.recipe.mask if mask_ratio is None else model.recipe.mask.with_ratio(mask_ratio)
    mask = mask.model_copy(update={"ask": 1.0})
    source = open_source(dataset, model.adapter)
    device = next(model.parameters()).device
    parts: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
    for start in range(0, len(source), 64):
        indices = range(start, min(start + 64, len(source)))
        packed = read_batch(source, model.adapter, indices, seed, "reconstruct").to(device)
        roles = mask.draw(packed, model)
        shown = zip(parts, _three_versions(model, packed, roles, target), strict=True)
        for kept, version in shown:
            kept += [model.adapter.untokenize(tokens) for tokens in version]
    return Reconstruction(*parts, adapter=model.adapter)


def _three_versions(
    model: Model, packed: Packed, roles: Roles, target: Content
) -> tuple[list[Tokens], list[Tokens], list[Tokens]]:
    """Original, masked (NaN where hidden) and rebuilt tokens of each sample."""
    was_training = model.training
    model.eval()
    prediction = model(packed, roles).prediction.float()
    model.train(was_training)
    asked = packed.select(roles.ask, roles.of_ask)
    said = model.adapter.as_content(prediction, asked)
    said = target.undo(said, model.adapter.target(asked).float(), asked.side.get(OBSERVED))
    rebuilt = packed.values.clone()
    rebuilt[roles.ask] = said.to(rebuilt.dtype)
    masked = packed.values.clone()
    masked[roles.hide] = float("nan")
    original, hidden, answer = (
        replace(packed, values=v).to("cpu").split() for v in (packed.values, masked, rebuilt)
    )
    return original, hidden, answer
