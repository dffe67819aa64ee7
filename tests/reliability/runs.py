"""Small real runs of every modality, for the proofs of what training guarantees."""

from pathlib import Path
from typing import Any

import anymae

ENCODER = anymae.EncoderConfig(width=16, depth=2, heads=2)
SAMPLES = 30
LONGEST = 8
"""How many times longer the longest sample of a ragged modality is than the shortest."""


def joint() -> tuple[Any, Any]:
    """Pictures and sounds, of which every third is missing, never both."""
    pictures, sounds = examples("image"), examples("audio")
    return (
        [one if i % 3 else None for i, one in enumerate(pictures)],
        [one if i % 3 != 1 else None for i, one in enumerate(sounds)],
    )


def examples(modality: str) -> list[Any]:
    """Example samples; those of a modality with a length are cut to 1/8 to all of theirs."""
    adapter = anymae.modalities()[modality]()
    every = [adapter.example(i) for i in range(SAMPLES)]
    if modality not in ("audio", "pointcloud", "timeseries"):
        return every
    return [_cut(one, (1 + i % LONGEST) / LONGEST) for i, one in enumerate(every)]


def _cut(sample: Any, part: float) -> Any:
    if isinstance(sample, tuple):
        return (_cut(sample[0], part), *sample[1:])
    return sample[: int(len(sample) * part)]


def small_run(modality: str, out: Path, data: Any = None, **changes: Any) -> anymae.Run:
    """Eight steps of seven samples on examples; ``modality`` may be ``"joint"``."""
    if data is None:
        data = joint() if modality == "joint" else examples(modality)
    kinds = ("image", "audio") if modality == "joint" else modality
    settings = {
        "size": ENCODER,
        "steps": 8,
        "batch_size": 7,
        "lr": 1e-3,
        "validation": 0.2,
        "precision": "fp32",
        "training.warmup": 0.0,
        "training.workers": 0,
        "training.log_every": 1,
        "training.checkpoint_every": 3,
        "training.validate_every": 4,
    }
    return anymae.pretrain(data, kinds, out=out, **(settings | changes))


ALL = (*sorted(anymae.modalities()), "joint")
