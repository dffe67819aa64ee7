"""Feeding: the packed batches of a fine-tuning run with their targets, mixed if wanted.

Shapes: B samples, n in all, c outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from anymae import draws
from anymae.adapter import Adapter
from anymae.data.batches import Batches, read_batch
from anymae.data.loader import default_workers, load
from anymae.data.plan import Plan
from anymae.data.sources import Source
from anymae.errors import BadConfig
from anymae.evaluation.finetuning.config import FinetuneConfig
from anymae.tokens import Packed


def plan_of(source: Source, config: FinetuneConfig) -> Plan:
    """Which samples belong to which step."""
    total = config.epochs_for(len(source)) * len(source)
    return Plan(len(source), min(config.batch_size, len(source)), total, config.seed)


def batches(
    source: Source, adapter: Adapter, targets: Tensor, plan: Plan, config: FinetuneConfig
) -> Iterator[tuple[Packed, Tensor]]:
    """Every step's packed samples and their targets (B, c), from ``targets`` (n, c)."""
    for step, packed in enumerate(_packed(source, adapter, plan, config)):
        target = targets[[index for _, index in plan.draw(step)]]
        yield mixed(packed, target, config.mixup, plan.seed, step) if config.mixup else (
            packed, target
        )  # fmt: skip


def _packed(
    source: Source, adapter: Adapter, plan: Plan, config: FinetuneConfig
) -> Iterator[Packed]:
    if not config.augment:
        for step in range(plan.steps):
            drawn = plan.draw(step)
            yield read_batch(source, adapter, [i for _, i in drawn], plan.seed, "tune", drawn[0][0])
        return
    workers = default_workers(len(source)) if config.workers is None else config.workers
    for batch in load(Batches(source, adapter, plan), 0, workers, pin=False):
        if batch.error is not None:
            raise batch.error
        if batch.packed is not None:
            yield batch.packed


def mixed(
    packed: Packed, target: Tensor, alpha: float, seed: int, step: int
) -> tuple[Packed, Tensor]:
    """Samples mixed with those of the reversed batch by one factor from Beta(a, a), and their
    targets with it (Zhang et al. 2018). Raises ``BadConfig`` unless all samples of the batch have
    tokens at the same places."""
    length = packed.segments.equal
    if length is None or not bool(
        (packed.coords.view(len(packed), length, -1).diff(dim=0) == 0).all()
    ):
        raise BadConfig(
            "mixup needs samples with tokens at the same places",
            found="samples of several shapes" if length is None else "differing coordinates",
            hint="Set mixup=0.",
        )
    number = draws.key(seed, step, "mixup") & (2**63 - 1)
    share = float(np.random.default_rng(number).beta(alpha, alpha))
    values = packed.values.view(len(packed), length, -1)
    values = torch.lerp(values.flip(0), values, share).flatten(0, 1)
    return replace(packed, values=values), torch.lerp(target.flip(0), target, share)
