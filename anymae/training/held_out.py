"""The masked loss of held-out samples, while training."""

from __future__ import annotations

import torch

from anymae.precision import autocast
from anymae.training.setup import Setup
from anymae.training.signals import StopFlag


@torch.no_grad()
def held_out_loss(setup: Setup, stop: StopFlag) -> float | None:
    """Mean loss per asked token of ``setup.held_out`` over all processes, with masks that are the
    same every time; None as soon as any process is asked to stop."""
    model, world, batches = setup.model, setup.world, setup.held_out
    total = count = 0.0
    model.eval()
    try:
        for first in range(0, len(batches), world.size):
            if world.sum(stop.asked)[0]:
                return None
            # A process that is left without a batch takes one all the same, and does not count it.
            mine = first + world.rank
            packed = batches[mine % len(batches)].to(world.device)
            roles = model.recipe.mask.draw(packed, model)
            with autocast(world.device, setup.precision):
                output = model(packed, roles)
            if mine < len(batches):
                total += float(output.loss)
                count += output.count
    finally:
        model.train()
    total, count = world.sum(total, count)
    return total / max(count, 1)
