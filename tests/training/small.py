"""Small real runs for the tests of training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import anymae
from anymae.training.trainer import Trainer

ENCODER = anymae.EncoderConfig(width=32, depth=2, heads=2)


def digits(count: int = 200) -> np.ndarray:
    """(count, 8, 8) uint8 handwritten digits."""
    return (load_digits().images[:count] * 15).astype(np.uint8)


def pretrain(out: Path, data: Any = None, **changes: Any) -> anymae.Run:
    """Twenty steps on digits, with workers off and a checkpoint every five steps."""
    settings = {
        "size": ENCODER,
        "steps": 20,
        "batch_size": 16,
        "validation": 0.1,
        "precision": "fp32",
        "training.workers": 0,
        "training.checkpoint_every": 5,
        "training.log_every": 1,
        "training.ema": 0.9,
    }
    return anymae.pretrain(
        digits() if data is None else data, "image", out=out, **(settings | changes)
    )


TIMES = ("seconds", "tokens_per_second", "samples_per_second", "waiting")


def curve(run: anymae.Run) -> list[dict[str, Any]]:
    """The history without what depends on the clock."""
    return [{k: v for k, v in row.items() if k not in TIMES} for row in run.history]


def weights(run: anymae.Run) -> bytes:
    return (run.path / "model" / "model.safetensors").read_bytes()


def cut_short(monkeypatch: pytest.MonkeyPatch, looks: int, run: Callable[[], Any]) -> None:
    """A run that is interrupted after as many looks at its data, just when it has saved."""
    original, calls = Trainer._look, []

    def look(self: Trainer, line: Any, stop: Any) -> None:
        original(self, line, stop)
        calls.append(0)
        if len(calls) == looks:
            self._save()
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_look", look)
        with pytest.raises(KeyboardInterrupt):
            run()
