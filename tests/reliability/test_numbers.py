"""Degenerate data give finite numbers or one line; number formats agree."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import anymae

from .runs import examples, small_run


def noise(x: np.ndarray) -> np.ndarray:
    return np.random.default_rng(x.size).normal(size=x.shape).astype(np.float32)


def all_but_one_missing(x: np.ndarray) -> np.ndarray:
    found = np.full(x.shape, np.nan, np.float32)
    found.reshape(-1)[0] = x.reshape(-1)[0]
    return found


KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "all zero": np.zeros_like,
    "constant": lambda x: np.full_like(x, 5),
    "huge": lambda x: np.float32(1e18) * np.sign(noise(x)),
    "huge and all different": lambda x: np.float32(1e18) * noise(x),
    "missing but for one": all_but_one_missing,
    "of one row": lambda x: x[:1],
}


def changed(sample: Any, change: Callable[[np.ndarray], np.ndarray]) -> Any:
    if isinstance(sample, tuple):
        return (change(sample[0]), *sample[1:])
    if isinstance(sample, dict):
        return {key: _changed_cell(value, change) for key, value in sample.items()}
    if isinstance(sample, np.ndarray):
        return change(sample)
    x = torch.as_tensor(change(sample.x.numpy()))
    kept = (sample.edges < len(x)).all(0)
    return replace(sample, x=x, edges=sample.edges[:, kept], nodes=len(x))


def _changed_cell(value: Any, change: Callable[[np.ndarray], np.ndarray]) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return float(change(np.array([value], np.float32))[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("modality", sorted(anymae.modalities()))
def test_degenerate_data_give_finite_losses_or_one_line(tmp_path, monkeypatch, modality, kind):
    data = [changed(sample, KINDS[kind]) for sample in examples(modality)[:16]]
    run, said = None, ""
    try:
        run = small_run(modality, tmp_path / "run", data=data, steps=3)
    except anymae.AnyMAEError as refusal:
        said = str(refusal)
    if run is None:
        assert "found" in said
        assert "\n" not in said
        return
    assert [row["step"] for row in run.history] == [1, 2, 3]
    assert all(math.isfinite(row["loss"]) for row in run.history)
    assert run.history[-1]["skipped_steps"] == 0
    assert all(torch.isfinite(p).all() for p in run.model.parameters())


def test_samples_of_one_token_are_refused(tmp_path):
    clouds = [cloud[:1] for cloud in examples("pointcloud")]
    with pytest.raises(anymae.BadInput, match="no sample has a token to hide"):
        small_run("pointcloud", tmp_path / "run", data=clouds)


@pytest.mark.parametrize(
    "modality", ["image", "graph", pytest.param("timeseries", marks=pytest.mark.slow)]
)
def test_bfloat16_learns_as_float32_does(tmp_path, modality):
    last = {}
    for precision in ("fp32", "bf16"):
        run = small_run(modality, tmp_path / precision, steps=30, precision=precision)
        last[precision] = np.mean([row["loss"] for row in run.history[-5:]])
    assert last["bf16"] == pytest.approx(last["fp32"], rel=0.1)
    assert last["bf16"] != last["fp32"]
