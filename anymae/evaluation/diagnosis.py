"""Diagnosis: is a model healthy? Answers that need no labels.

Shapes: n samples, D width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from anymae import draws
from anymae import precision as formats
from anymae.data.sources import Source, Subset, open_source
from anymae.errors import BadConfig, BadInput
from anymae.evaluation import spectrum
from anymae.evaluation.masked_loss import MaskedLoss, batches, explained, masked_loss
from anymae.evaluation.record import Record
from anymae.evaluation.views import Reading
from anymae.model import Model

SIMILAR = 0.99
SPREAD = 0.05
MEMORISED = 0.1


@dataclass(frozen=True, eq=False)
class Diagnosis(Record):
    """What a model does with unlabelled data.

    ``loss`` is per asked token, with the recipe's mask; ``explained_variance`` the share of the
    better trivial predictor's loss (``trivial_loss``) that it removes: 1 perfect, 0 useless.
    ``effective_rank`` (RankMe, 1 to ``width``), ``alpha_req`` (spectral slope, healthy near 1),
    ``uniformity`` (0 collapsed, to about -4), ``mean_cosine`` (of different samples) and
    ``relative_spread`` (0: all features the same) describe the features. ``memorisation`` is
    loss on these data over loss on the training data, minus 1; None where those were not given.
    ``warnings`` are sentences; none means that nothing was found.
    """

    samples: int
    width: int
    loss: float
    trivial_loss: float
    explained_variance: float
    effective_rank: float
    alpha_req: float
    uniformity: float
    mean_cosine: float
    relative_spread: float
    memorisation: float | None
    warnings: list[str]

    def __str__(self) -> str:
        lines = [f"{name:<20}{value}" for name, value in self._rows()]
        return "\n".join([*lines, *(f"warning: {warning}" for warning in self.warnings)])

    def __rich__(self) -> Any:
        from rich.table import Table

        caption = "\n".join(self.warnings) or "nothing wrong found"
        table = Table("figure", "value", title="diagnosis", caption=caption)
        for name, value in self._rows():
            table.add_row(name, value)
        return table

    def _rows(self) -> Iterator[tuple[str, str]]:
        for name, value in self.items():
            if isinstance(value, (int, float)):
                yield (
                    name.replace("_", " "),
                    f"{value:.4g}" if isinstance(value, float) else str(value),
                )


def diagnose(
    model: Model,
    dataset: Any,
    train: Any = None,
    *,
    pool: str = "mean",
    layer: int = -1,
    samples: int = 4096,
    seed: int = 0,
    precision: str = "auto",
) -> Diagnosis:
    """Look at a model without labels.

    Args:
        model: A model.
        dataset: Data it was not trained on, best.
        train: Data it was trained on, to tell learning from memorising.
        pool: ``"mean"``, ``"max"``, ``"std"`` of the tokens, ``"cls"``, or several as in
            ``"mean+max"``, see ``Model.embed``.
        layer: The block that features are taken from; -1 is the last, with the final norm.
        samples: At most this many samples are used, drawn by ``seed``.
        seed: Of the draw and of the masks: the same seed, the same diagnosis.
        precision: Of matrix products.

    Raises ``BadInput`` for data, also for fewer than two samples, and ``BadConfig``.
    """
    if samples < 2:
        raise BadConfig("too few samples", where="samples", found=samples, expected="2 or more")
    precision = formats.resolve(precision, next(model.parameters()).device)
    source = _some(open_source(dataset, model.adapter), samples, seed)
    if len(source) < 2:
        raise BadInput("a diagnosis needs two samples or more", where="dataset", found=len(source))
    features = Reading(pool, layer, None, precision).of(model, source)
    packed = batches(model, source, seed)
    loss = masked_loss(model, packed, precision)
    gain, best = explained(model, packed, loss.mean)
    seen = None
    if train is not None:
        known = _some(open_source(train, model.adapter), samples, seed)
        seen = masked_loss(model, batches(model, known, seed), precision)
    figures: dict[str, Any] = {
        "samples": len(source),
        "width": model.width,
        "loss": loss.mean,
        "trivial_loss": best,
        "explained_variance": gain,
        "effective_rank": spectrum.effective_rank(features),
        "alpha_req": spectrum.alpha_req(features),
        "uniformity": spectrum.uniformity(features),
        "mean_cosine": spectrum.mean_cosine(features),
        "relative_spread": spectrum.relative_spread(features),
        "memorisation": None if seen is None else loss.mean / max(seen.mean, 1e-30) - 1,
    }
    return Diagnosis(**figures, warnings=[*_warnings(figures), *_memorised(loss, seen)])


def _some(source: Source, samples: int, seed: int) -> Source:
    """At most ``samples`` of a source's samples, drawn by ``seed``, in order."""
    if len(source) <= samples:
        return source
    order = torch.randperm(len(source), generator=draws.generator(seed, "diagnose"))
    return Subset(source, np.sort(order[:samples].numpy()))


def _warnings(found: dict[str, Any]) -> Iterator[str]:
    rank, most = found["effective_rank"], min(found["samples"], found["width"])
    if rank < max(2.0, min(4.0, most / 8)):
        yield (
            f"Features have collapsed to few directions: effective rank {rank:.2f} of at most "
            f"{most}."
        )
    if found["relative_spread"] < SPREAD:
        yield (
            f"Features hardly depend on the sample: their spread is {found['relative_spread']:.2g} "
            "of their size."
        )
    if found["mean_cosine"] > SIMILAR:
        yield (
            f"Different samples look alike: their mean cosine similarity is "
            f"{found['mean_cosine']:.4f}."
        )
    if found["explained_variance"] <= 0:
        yield (
            f"The model predicts hidden tokens no better than a mean does: loss "
            f"{found['loss']:.4g}, trivial loss {found['trivial_loss']:.4g}."
        )
    if not math.isfinite(found["loss"]):
        yield "The masked loss is not a finite number."


def _memorised(loss: MaskedLoss, seen: MaskedLoss | None) -> Iterator[str]:
    if seen is None:
        return
    score = loss.mean / max(seen.mean, 1e-30) - 1
    if score > MEMORISED and loss.mean - seen.mean > 2 * math.hypot(loss.error, seen.error):
        yield (
            f"The model knows its training data by heart: its loss on unseen data is "
            f"{100 * score:.0f} % higher ({loss.mean:.4g} against {seen.mean:.4g})."
        )
