"""PatchTST-shaped pretraining on series: MAE, which encodes visible patches only, and the patchtst
recipe, which encodes all, beside transformers' PatchTST."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from anymae.benchmarks.peers import transformers
from anymae.benchmarks.speed.contest import Contest, Entrant, Step
from anymae.benchmarks.speed.ours import training_step
from anymae.benchmarks.speed.shapes import SERIES, SeriesShape
from anymae.encoder import EncoderConfig
from anymae.modalities.timeseries.adapter import TimeSeriesAdapter
from anymae.precision import Precision


def ours(shape: SeriesShape, precision: Precision, method: str, device: torch.device) -> Step:
    """A recipe at a shape, with what the modality says about it."""
    size = (shape.batch, shape.steps, shape.channels)
    windows = np.random.default_rng(0).standard_normal(size, dtype=np.float32)
    adapter = TimeSeriesAdapter(
        patch=shape.patch,
        channels="independent",
        normalise="instance",
        irregular=False,
        channel_count=shape.channels,
        length=shape.steps,
        mean=(0.0,) * shape.channels,
        std=(1.0,) * shape.channels,
    )
    told: dict[str, Any] = {**adapter.numbers(method), "mask.ratio": shape.mask_ratio}
    own = {k.removeprefix("encoder."): v for k, v in told.items() if k.startswith("encoder.")}
    settings = {k: v for k, v in told.items() if not k.startswith("encoder.")}
    if method == "mae":
        settings |= {"decoder.width": shape.width // 2, "decoder.depth": 1, "decoder.heads": 4}
    encoder = EncoderConfig(
        width=shape.width, depth=shape.depth, heads=shape.heads, **{**own, "cls": False}
    )
    return training_step(adapter, list(windows), encoder, precision, device, method, **settings)


def contest(shape: SeriesShape) -> Contest:
    """Everybody at a shape."""
    fp32, bf16 = (transformers.SHIPPED["fp32"],), (transformers.SHIPPED["bf16"], transformers.PLAIN)
    found: dict[str, Entrant] = {}
    for method, said in ("mae", ""), ("patchtst", ", patchtst recipe"):
        found |= {
            f"anymae fp32{said}": Entrant(partial(ours, shape, "fp32", method), "fp32", fp32),
            f"anymae bf16{said}": Entrant(partial(ours, shape, "bf16", method), "bf16", bf16),
        }
    found |= transformers.entrants(transformers.patchtst, shape)
    return Contest("series", str(shape), "windows", shape.batch, found)


CONTESTS = (contest(SERIES),)
