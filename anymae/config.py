"""One schema for Python, YAML and the command line: how training runs, and dotted overrides.

Unknown keys are errors that name the nearest known one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from anymae.errors import BadConfig, unknown_name
from anymae.parts import explain_invalid

ModelT = TypeVar("ModelT", bound=BaseModel)


class TrainingConfig(BaseModel):
    """How a run is trained. Lengths are optimiser steps unless said otherwise.

    The peak learning rate is ``lr``, or ``base_lr`` scaled from ``lr_batch`` samples to the
    effective batch, linearly (Goyal et al. 2017) or by the square root (Malladi et al. 2022).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: int | None = Field(default=None, gt=0)
    epochs: float | None = Field(default=None, gt=0)
    batch_size: int | None = Field(default=None, gt=0)
    """Samples per optimiser step over all ranks."""
    batch_tokens: int | None = Field(default=None, gt=0)
    """Tokens per optimiser step, on average, from which ``batch_size`` is chosen."""
    micro_tokens: int = Field(default=65536, gt=0)
    """Tokens a device computes on at once; larger steps are accumulated."""
    recompute: bool = False
    """Keep only what enters each block and compute the rest again in the backward pass: the same
    bits in less memory, for about a third more arithmetic."""
    compile: bool = False
    """Compile what blocks do token by token (``torch.compile``), for any number of tokens."""

    lr: float | None = Field(default=None, gt=0)
    base_lr: float = Field(default=2.4e-3, gt=0)
    lr_batch: int = Field(default=4096, gt=0)
    lr_scaling: Literal["linear", "sqrt"] = "sqrt"
    min_lr: float = Field(default=0.0, ge=0)
    schedule: Literal["cosine", "wsd", "constant"] = "cosine"
    """``wsd`` warms up, stays, and falls linearly in the last ``decay`` of the run."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Fraction of the run in which the learning rate rises linearly from 0."""
    decay: float = Field(default=0.2, gt=0, le=1)
    weight_decay: float = Field(default=0.05, ge=0)
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float | None = Field(default=None, gt=0)
    """Largest gradient norm; None: not clipped."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay of a moving average of the weights, saved as the model; None: the last weights."""
    spike: float = Field(default=1000.0, gt=1)
    """A step is bad, and skipped, if its gradient norm is this many times the running median."""
    bad_steps: int = Field(default=10, gt=0)
    """Bad steps in a row after which a run goes back to its newest checkpoint's weights, and on
    with the samples that follow."""
    rollbacks: int = Field(default=2, ge=0)
    """How often a run may go back before it stops as ``Diverged``."""

    log_every: int = Field(default=10, gt=0)
    validate_every: int | None = Field(default=None, gt=0)
    """None: about twenty times a run."""
    checkpoint_every: int | None = Field(default=None, gt=0)
    """None: about ten times a run, and at least every thousand steps."""
    keep: int = Field(default=2, gt=0)
    """Checkpoints kept."""
    workers: int | None = Field(default=None, ge=0)
    """Loader processes; None: chosen from the machine. Never part of the result."""
    on_bad_sample: Literal["raise", "skip"] = "raise"
    bad_samples: float = Field(default=0.05, ge=0, le=1)
    """Fraction of samples that may be skipped before the run stops."""

    @model_validator(mode="after")
    def _one_length(self) -> TrainingConfig:
        if self.steps is not None and self.epochs is not None:
            raise ValueError("steps and epochs cannot both be given: give one")
        return self


def validated(schema: type[ModelT], fields: Mapping[str, Any], where: str) -> ModelT:
    """``schema(**fields)``, with the first wrong field as a ``BadConfig``."""
    try:
        return schema(**fields)
    except ValidationError as error:
        raise explain_invalid(error, where, schema) from None


def with_overrides(config: ModelT, overrides: Mapping[str, Any], where: str) -> ModelT:
    """A copy of ``config`` with dotted fields replaced, e.g. ``{"decoder.depth": 4}``.

    Giving a slot another kind (``{"decoder": "cross"}`` or ``{"decoder.kind": "cross"}``) starts
    from that kind's defaults; further fields of it may follow. Raises ``BadConfig``.
    """
    fields = config.model_dump(mode="json")
    for key in sorted(overrides, key=lambda k: (k.count("."), not k.endswith(".kind"), k)):
        _set(fields, key.split("."), overrides[key], key, where)
    return validated(type(config), fields, where)


def _set(tree: dict[str, Any], path: list[str], value: Any, key: str, where: str) -> None:
    *parents, last = path
    for depth, parent in enumerate(parents):
        inner = tree.get(parent)
        if not isinstance(inner, dict):
            known = [".".join([*parents[:depth], path]) for path in _paths(tree)]
            raise unknown_name("setting", key, known).at(where)
        tree = inner
    if last == "kind" and value != tree.get("kind"):
        tree.clear()
    is_part = isinstance(tree.get(last), dict) and "kind" in tree[last]
    tree[last] = {"kind": value} if is_part and isinstance(value, str) else value


def _paths(tree: Mapping[str, Any]) -> list[str]:
    found = []
    for name, value in tree.items():
        found.append(name)
        if isinstance(value, dict):
            found += [f"{name}.{inner}" for inner in _paths(value)]
    return found


def refuse_both(**given: Any) -> None:
    """Raise ``BadConfig`` if more than one of two or more options is given."""
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise BadConfig(f"{' and '.join(named)} cannot both be given", hint="Give one of them.")
