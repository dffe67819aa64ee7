"""Fine-tuning a forecaster: a ridge probe, then head and encoder together.

Shapes: b examples, C channels, H steps of a horizon.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anymae.config import validated
from anymae.data.plan import Plan
from anymae.data.sources import open_source
from anymae.errors import BadConfig, Diverged
from anymae.evaluation.finetuning.network import parameter_groups
from anymae.evaluation.forecasting import ridge
from anymae.evaluation.forecasting.config import ForecastConfig, ForecastTask
from anymae.evaluation.forecasting.errors import errors_of
from anymae.evaluation.forecasting.examples import (
    Batch,
    Examples,
    Scale,
    Table,
    look_back_of,
    whole_series,
)
from anymae.evaluation.forecasting.features import TokenFeatures
from anymae.evaluation.forecasting.forecaster import Forecaster, forecast
from anymae.evaluation.forecasting.network import ForecastNetwork
from anymae.evaluation.protocols.forecasting import ForecastingProbe
from anymae.model import Model
from anymae.precision import resolve
from anymae.training.distributed import pick_device
from anymae.training.optim import peak_rate, rate


def tune(model: Model, train: Any, validation: Any, options: Mapping[str, Any]) -> Forecaster:
    """See ``finetune``. ``validation`` is a data set of long series, or the last fraction of each
    training series; with it the weights of the epoch of least validation error are kept, the probe
    included."""
    config = validated(ForecastConfig, options, "finetune")
    series = whole_series(open_source(train, model.adapter), model.adapter)
    look_back = look_back_of(model.adapter, config.look_back)
    series, held = _parts(series, validation, model, look_back)
    scale = Scale.of(series)
    known = Examples.of(series, look_back, config.horizon, scale, config.stride)
    checked = None
    if held is not None:
        checked = Examples.of(held, look_back, config.horizon, scale, role="validation")
    defaults = ForecastingProbe()
    device = pick_device(config.device)
    features = TokenFeatures(model, -1, resolve(config.precision, device))
    probe = ridge.fitted(known, features, defaults.penalties, defaults.held)
    task = ForecastTask(
        horizon=config.horizon,
        look_back=look_back,
        features=len(probe.weight) - 1,
        mean=tuple(scale.mean.tolist()),
        std=tuple(scale.std.tolist()),
    )
    encoder = model.encoder.config.model_copy(update={"drop_path": config.drop_path})
    network = ForecastNetwork(
        model.adapter, model.recipe, encoder, task.features, task.horizon, config.dropout
    )
    network.start_from(model, probe)
    network.to(device)
    history = _trained(network, known, checked, config)
    return Forecaster(network.cpu().eval(), task, config, history)


def _parts(
    series: list[Table], validation: Any, model: Model, look_back: int
) -> tuple[list[Table], list[Table] | None]:
    """Training and validation series; a look-back may reach from the second into the first."""
    if validation is None:
        return series, None
    if not isinstance(validation, (int, float)):
        return series, whole_series(open_source(validation, model.adapter), model.adapter)
    if not 0 < validation < 1:
        raise BadConfig("a fraction lies between 0 and 1", where="validation", found=validation)
    cuts = [round(len(one) * (1 - validation)) for one in series]
    held = [one[max(0, cut - look_back) :] for one, cut in zip(series, cuts, strict=True)]
    return [one[:cut] for one, cut in zip(series, cuts, strict=True)], held


def _trained(
    network: ForecastNetwork, known: Examples, checked: Examples | None, config: ForecastConfig
) -> list[dict[str, float]]:
    """Train in place; a row about the probe and every epoch."""
    history = [{"step": 0.0, "epoch": 0.0} | _validated(network, checked, config)]
    best = _copied(network)
    if config.epochs == 0:
        return history
    plan = Plan(len(known), min(config.batch_size, len(known)), config.epochs * len(known),
                config.seed)  # fmt: skip
    groups = parameter_groups(network, config.layer_decay, config.weight_decay)
    solver = torch.optim.AdamW(list(groups), lr=0.0, betas=(0.9, 0.999))
    peak = peak_rate(config.schedule, plan.batch)
    every = math.ceil(len(known) / plan.batch)
    sums: list[Tensor] = []
    for step in range(1, plan.steps + 1):
        lr = rate(config.schedule, peak, (step - 0.5) / plan.steps)
        batch = known.batch(np.array([index for _, index in plan.draw(step - 1)]))
        sums.append(_step(network, solver, batch, lr, config))
        if step % every == 0 or step == plan.steps:
            row = {"step": float(step), "epoch": step * plan.batch / len(known), "lr": lr}
            row["loss"] = _finite(torch.stack(sums).mean(), step)
            history.append(row | _validated(network, checked, config))
            sums = []
            errors = [row.get("validation_mse", 0.0) for row in history]
            if errors[-1] <= min(errors):
                best = _copied(network)
    network.load_state_dict(best)
    return history


def _step(
    network: ForecastNetwork,
    solver: torch.optim.Optimizer,
    batch: Batch,
    lr: float,
    config: ForecastConfig,
) -> Tensor:
    network.train()
    for group in solver.param_groups:
        group["lr"] = lr * group["scale"]
    said = forecast(network, batch, config.precision)
    loss = (said - batch.future.to(said.device)).square().mean()
    solver.zero_grad(set_to_none=True)
    loss.backward()
    if config.clip is not None:
        torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip)
    solver.step()
    return loss.detach()


def _validated(
    network: ForecastNetwork, checked: Examples | None, config: ForecastConfig
) -> dict[str, float]:
    if checked is None:
        return {}
    network.eval()
    with torch.no_grad():
        found = errors_of(checked, lambda b: forecast(network, b, config.precision).cpu())
    return {"validation_mse": float(found.squared.mean())}


def _copied(network: ForecastNetwork) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def _finite(loss: Tensor, step: int) -> float:
    value = float(loss)
    if not math.isfinite(value):
        raise Diverged(
            "fine-tuning left the finite numbers",
            where=f"step {step}",
            found=f"loss {value}",
            hint="Lower lr.",
        )
    return value
