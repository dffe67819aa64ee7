"""Fine-tune: train a copy of a model, with a new head, on labels.

Shapes: n samples, c outputs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anymae.config import validated
from anymae.data.sources import Source
from anymae.errors import BadConfig, Diverged, unknown_name
from anymae.evaluation.finetuning.config import FinetuneConfig
from anymae.evaluation.finetuning.feeding import batches, plan_of
from anymae.evaluation.finetuning.network import Network, parameter_groups
from anymae.evaluation.finetuning.tasks import TASKS, Task
from anymae.evaluation.finetuning.tuned import FineTuned, outputs_of
from anymae.evaluation.labels import Labelled, hold_out, kind_of, labelled
from anymae.model import Model
from anymae.precision import Precision, autocast, resolve
from anymae.training.distributed import pick_device
from anymae.training.optim import peak_rate, rate


def finetune(
    model: Model,
    train: Any,
    validation: Any = None,
    task: str = "classification",
    **options: Any,
) -> FineTuned:
    """Train a copy of a model's encoder and a new linear head on labels; ``model`` is untouched.

    Args:
        model: A pretrained model.
        train: A data set with labels, e.g. (samples, labels); for forecasting long series.
        validation: Another, or a fraction of ``train`` to hold out; scored after every epoch.
        task: ``"classification"``, ``"regression"`` (one number a sample, or a vector) or
            ``"forecasting"`` (the next ``horizon`` steps; see ``ForecastConfig``, ``Forecaster``).
        options: Fields of ``FinetuneConfig``: epochs, batch_size, lr, layer_decay, mixup ...

    The recipe is MAE's (He et al. 2022). The last weights are kept, whatever the validation says.
    Raises ``BadInput`` for data and labels, ``BadConfig`` for options, ``Diverged``.
    """
    if task == "forecasting":
        from anymae.evaluation.forecasting.tuning import tune

        return tune(model, train, validation, options)
    if task not in TASKS:
        raise unknown_name("task", task, [*TASKS, "forecasting"])
    config = validated(FinetuneConfig, options, "finetune")
    known, held = _sets(model, train, validation, task, config.seed)
    goal = TASKS[task].of(known)
    encoder = model.encoder.config.model_copy(update={"drop_path": config.drop_path})
    network = Network(model.adapter, model.recipe, encoder, goal.outputs, config.pool)
    network.start_from(model, goal.head_std, config.seed)
    network.to(pick_device(config.device))
    history = _trained(network, goal, known, held, config)
    return FineTuned(network.cpu().eval(), goal, config, history)


def _sets(
    model: Model, train: Any, validation: Any, task: str, seed: int
) -> tuple[Labelled, Labelled | None]:
    known = labelled(train, model.adapter, role="train")
    kind_of(known, task)
    if validation is None:
        return known, None
    if not isinstance(validation, (int, float)):
        held = labelled(validation, model.adapter, role="validation")
        return known.named(held.names), held
    if not 0 < validation < 1:
        raise BadConfig("a fraction lies between 0 and 1", where="validation", found=validation)
    codes = None
    if task == "classification":
        codes = np.unique(known.own, return_inverse=True)[1]
    out = hold_out(len(known.values), codes, seed, float(validation))
    return (
        known.subset(np.flatnonzero(~out), "train"),
        known.subset(np.flatnonzero(out), "validation"),
    )


def _trained(
    network: Network, goal: Task, known: Labelled, held: Labelled | None, config: FinetuneConfig
) -> list[dict[str, float]]:
    """Train in place; a row about every epoch."""
    device = next(network.parameters()).device
    precision = resolve(config.precision, device)
    targets = goal.targets(known)
    checked = (held.source, goal.targets(held)) if held else None
    plan = plan_of(known.source, config)
    groups = parameter_groups(network, config.layer_decay, config.weight_decay)
    solver = torch.optim.AdamW(list(groups), lr=0.0, betas=config.betas, fused=True)
    peak = peak_rate(config.schedule, plan.batch)
    history: list[dict[str, float]] = []
    sums, count = [], 0
    feed = batches(known.source, network.adapter, targets, plan, config)
    for step, (packed, target) in enumerate(feed, start=1):
        lr = rate(config.schedule, peak, (step - 0.5) / plan.steps)
        network.train()
        with autocast(device, precision):
            outputs = network(packed.to(device))
        loss = goal.loss(outputs, target.to(device), config.label_smoothing)
        _update(solver, network, loss, lr, config.clip)
        sums.append(loss.detach() * len(target))
        count += len(target)
        if step % math.ceil(plan.samples / plan.batch) == 0 or step == plan.steps:
            row = {"step": step, "epoch": min(step * plan.batch, plan.total) / plan.samples}
            row |= {"lr": lr, "loss": _finite(torch.stack(sums).sum() / count, step)}
            if checked is not None:
                row |= _validated(network, goal, *checked, precision)
            history.append(row)
            sums, count = [], 0
    return history


def _update(
    solver: torch.optim.Optimizer, network: Network, loss: Tensor, lr: float, clip: float | None
) -> None:
    for group in solver.param_groups:
        group["lr"] = lr * group["scale"]
    solver.zero_grad(set_to_none=True)
    loss.backward()
    if clip is not None:
        torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
    solver.step()


def _finite(loss: Tensor, step: int) -> float:
    value = float(loss)
    if not math.isfinite(value):
        raise Diverged(
            "fine-tuning left the finite numbers",
            where=f"step {step}",
            found=f"loss {value}",
            hint="Lower lr, or set clip=1.0.",
        )
    return value


def _validated(
    network: Network, goal: Task, source: Source, targets: Tensor, precision: Precision
) -> dict[str, float]:
    outputs = outputs_of(network, source, precision=precision)
    return {
        "validation_loss": float(goal.loss(outputs, targets, 0.0)),
        f"validation_{goal.metric}": goal.score(outputs, targets),
    }
