"""VideoMAE on clips, beside transformers' VideoMAE; and with half of the hidden tubes asked."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from anymae.benchmarks.peers import transformers
from anymae.benchmarks.speed.contest import Contest, Entrant, Step
from anymae.benchmarks.speed.ours import training_step
from anymae.benchmarks.speed.shapes import VIDEOS, VideoShape
from anymae.encoder import EncoderConfig
from anymae.modalities.video.adapter import VideoAdapter
from anymae.precision import Precision


def ours(shape: VideoShape, precision: Precision, ask: float, device: torch.device) -> Step:
    """The ``videomae`` recipe at a shape."""
    size = (shape.batch, shape.frames, shape.side, shape.side, 3)
    clips = np.random.default_rng(0).standard_normal(size, dtype=np.float32)
    adapter = VideoAdapter(
        patch_size=(shape.tube, shape.patch, shape.patch),
        frames=shape.frames,
        stride=1,
        image_size=(shape.side, shape.side),
        channels=3,
        channel_axis="last",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        partial_tubes=False,
    )
    encoder = EncoderConfig(width=shape.width, depth=shape.depth, heads=shape.heads, cls=False)
    sized = {
        "mask.ask": ask,
        "mask.ratio": shape.hidden / shape.places,
        "decoder.width": shape.decoder_width,
        "decoder.depth": shape.decoder_depth,
        "decoder.heads": shape.decoder_heads,
    }
    return training_step(adapter, list(clips), encoder, precision, device, "videomae", **sized)


def contest(name: str, shape: VideoShape) -> Contest:
    """Everybody at a shape."""
    fp32, bf16 = (transformers.SHIPPED["fp32"],), (transformers.SHIPPED["bf16"], transformers.PLAIN)
    return Contest(
        f"video-{name}",
        str(shape),
        "clips",
        shape.batch,
        {
            "anymae fp32": Entrant(partial(ours, shape, "fp32", 1.0), "fp32", fp32),
            "anymae bf16": Entrant(partial(ours, shape, "bf16", 1.0), "bf16", bf16),
            "anymae bf16, half asked": Entrant(partial(ours, shape, "bf16", 0.5), "bf16", bf16),
            **transformers.entrants(transformers.videomae, shape),
        },
    )


CONTESTS = tuple(contest(name, shape) for name, shape in VIDEOS.items())
