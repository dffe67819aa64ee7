"""What every peer's training step has in common."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from anymae.precision import Precision, autocast


def stepping(
    model: nn.Module,
    loss: Callable[[], Tensor],
    precision: Precision,
    device: torch.device,
    fused: bool = True,
) -> Callable[[], None]:
    """A step of AdamW on ``loss()`` of ``model``; ``fused`` as the peer's own trainer has it."""
    trained = [p for p in model.train().to(device).parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-4, betas=(0.9, 0.95), fused=fused)

    def step() -> None:
        with autocast(device, precision):
            value = loss()
        value.backward()
        optimiser.step()
        optimiser.zero_grad()

    return step
