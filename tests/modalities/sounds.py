"""Waveforms and adapters fitted to them, for the tests of the audio adapter."""

import numpy as np

from anymae.modalities.audio.adapter import AudioAdapter

RATE = 8000


def noise(samples: int, seed: int = 0, channels: int | None = None) -> np.ndarray:
    shape = samples if channels is None else (channels, samples)
    return (0.1 * np.random.default_rng(seed).normal(size=shape)).astype(np.float32)


def tone(hertz: float, seconds: float = 0.5, rate: int = RATE, loud: float = 0.3) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (loud * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def complete(**options) -> AudioAdapter:
    """An adapter that needs no fitting: 8 bands at 8 kHz, patches of 4 frames by 4 bands."""
    return AudioAdapter(
        **{"sample_rate": RATE, "n_mels": 8, "patch_size": (4, 4), "mean": (-3.0,), "std": (2.0,),
           **options}
    )  # fmt: skip
