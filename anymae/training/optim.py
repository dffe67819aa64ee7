"""The optimiser: AdamW with MAE's decay groups, learning-rate schedules, a moving average."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from anymae.config import TrainingConfig
from anymae.training.sharding import like


def adamw(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019) without weight decay on vectors (biases, norms)."""
    groups: dict[tuple[bool, type], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:  # sharded and whole ones cannot be updated in one go
            kind = parameter.ndim > 1, type(parameter.data)
            groups.setdefault(kind, []).append(parameter)
    decays = [
        {"params": members, "weight_decay": config.weight_decay if matrices else 0.0}
        for (matrices, _), members in groups.items()
    ]
    return torch.optim.AdamW(decays, lr=0.0, betas=config.betas, fused=True)


def peak_rate(config: TrainingConfig, batch: int) -> float:
    """The highest learning rate of a run with ``batch`` samples a step."""
    if config.lr is not None:
        return config.lr
    factor = batch / config.lr_batch
    return config.base_lr * (math.sqrt(factor) if config.lr_scaling == "sqrt" else factor)


def rate(config: TrainingConfig, peak: float, done: float) -> float:
    """The learning rate after a fraction ``done`` (0 to 1) of the run."""
    if done < config.warmup:
        return peak * done / config.warmup
    if config.schedule == "constant":
        return peak
    if config.schedule == "wsd":
        left = min(1.0, (1 - done) / config.decay)
        return config.min_lr + (peak - config.min_lr) * left
    turned = (done - config.warmup) / (1 - config.warmup)
    return config.min_lr + (peak - config.min_lr) * 0.5 * (1 + math.cos(math.pi * turned))


class Average:
    """An exponential moving average of a model's weights: a <- d a + (1 - d) w.

    The decay warms up as (1 + n) / (10 + n), so that short runs do not average the start.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors = {n: t.detach().clone() for n, t in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, updates: int) -> None:
        """Move towards the weights after optimiser update number ``updates``."""
        decay = min(self.decay, (1 + updates) / (10 + updates))
        for name, tensor in model.state_dict().items():
            mine = self.tensors[name]
            if mine.is_floating_point():
                mine.lerp_(tensor, 1 - decay)
            else:
                mine.copy_(tensor)


def _trained(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((n, p) for n, p in model.named_parameters() if p.requires_grad)


MOMENTS = ("exp_avg", "exp_avg_sq")


def optimiser_tensors(optimiser: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The optimiser's state as flat named tensors, ``<entry>/<parameter name>``; zeros for what
    has not been updated yet, which is the same thing to AdamW."""
    flat = {}
    for name, parameter in _trained(model):
        state = optimiser.state.get(parameter) or {}
        for entry in MOMENTS:
            flat[f"{entry}/{name}"] = state.get(entry, torch.zeros_like(parameter))
        flat[f"step/{name}"] = state.get("step", torch.zeros(())).float().reshape(1)
    return flat


def restore_optimiser(
    optimiser: torch.optim.Optimizer, model: nn.Module, flat: Mapping[str, Tensor]
) -> None:
    """The inverse of ``optimiser_tensors``."""
    for name, parameter in _trained(model):
        state = {e: like(parameter, flat[f"{e}/{name}"]) for e in MOMENTS}
        step = flat[f"step/{name}"].reshape(()).to(parameter.device)
        optimiser.state[parameter] = {**state, "step": step}
