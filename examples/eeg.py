"""A modality of one's own: EEG. From recordings to features, in one file.

    python examples/eeg.py

Recordings are made up: 19 electrodes on a head, slow background activity, and an alpha rhythm (8 to
12 Hz) that comes and goes, mostly over the back of the head and stronger with closed eyes. A probe
tells open from closed eyes by frozen features, beside raw recordings and a random encoder.
"""

from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar

import numpy as np
import torch

import anymae

RATE, PATCH = 100, 50  # samples a second, samples a token
HEAD = 9 * np.array(  # centimetres to the right and to the front: Fp1 Fp2 F7 F3 Fz ... O1 O2
    [[-0.31, 0.95], [0.31, 0.95], [-0.81, 0.59], [-0.39, 0.52], [0, 0.5], [0.39, 0.52],
     [0.81, 0.59], [-1, 0], [-0.5, 0], [0, 0], [0.5, 0], [1, 0], [-0.81, -0.59], [-0.39, -0.52],
     [0, -0.5], [0.39, -0.52], [0.81, -0.59], [-0.31, -0.95], [0.31, -0.95]]
)  # fmt: skip


@anymae.register
class EEG(anymae.Adapter):
    """Recordings (19 electrodes, samples at 100 Hz) in microvolts. A token is half a second
    of one electrode; its coordinates are where on the head that is, in centimetres, and when."""

    name: ClassVar[str] = "eeg"
    microvolts: float = 10.0

    @property
    def token_dim(self) -> int:
        return PATCH

    @property
    def coord_dim(self) -> int:
        return 3

    def tokenize(self, sample: Any) -> anymae.Tokens:
        array = np.asarray(sample)
        if array.dtype.kind != "f" or array.ndim != 2 or len(array) != len(HEAD):
            raise anymae.BadInput("not a recording", found=array.shape, expected="(19, samples)")
        count = array.shape[1] // PATCH
        if count == 0 or not np.isfinite(array).all():
            raise anymae.BadInput("a recording must be finite and last half a second")
        patches = torch.tensor(array[:, : count * PATCH] / self.microvolts, dtype=torch.float32)
        place = torch.tensor(HEAD, dtype=torch.float32).repeat_interleave(count, 0)
        time = torch.arange(count).repeat(len(HEAD))[:, None]
        return anymae.Tokens(patches.reshape(-1, PATCH), torch.cat([place, time], 1))

    def untokenize(self, tokens: anymae.Tokens) -> np.ndarray:
        electrode = np.abs(tokens.coords[:, None, :2].numpy() - HEAD).sum(-1).argmin(1)
        time = tokens.coords[:, 2].long().numpy()
        patches = np.full((len(HEAD), time.max() + 1, PATCH), np.nan)
        patches[electrode, time] = tokens.values.numpy() * self.microvolts
        return patches.reshape(len(HEAD), -1)

    def numbers(self, recipe: str) -> dict[str, Any]:
        return {"mask.ratio": 0.6, "target.normalise": "none"} if recipe == "mae" else {}

    def draw(self, axes: Any, sample: Any) -> None:
        axes.plot(sample.T + 40 * np.arange(len(HEAD)), linewidth=0.5)
        axes.set_axis_off()

    def example(self, seed: int) -> np.ndarray:
        return recording(seed % 2, seed)


def recording(closed: int, seed: int, seconds: int = 2) -> np.ndarray:
    """Open (0) or closed (1) eyes of somebody whose rhythm has its own frequency and size."""
    draw = np.random.default_rng(seed)
    time = np.arange(seconds * RATE) / RATE
    slow = draw.normal(size=(4, 12)) @ np.sin(
        2 * np.pi * np.arange(1, 13)[:, None] / 2 * time + draw.uniform(0, 6, size=(12, 1))
    )
    spread = np.exp(-np.square(HEAD[:, None] - draw.uniform(-9, 9, (4, 2))).sum(-1) / 60)
    burst = np.sin(np.pi * (time / seconds + draw.uniform())) ** 2
    alpha = burst * np.sin(2 * np.pi * draw.uniform(8, 12) * time + draw.uniform(0, 6))
    back = np.exp(-np.square(HEAD - [0, -8]).sum(1) / 50) * draw.lognormal(1.9 + 0.8 * closed, 0.4)
    return 2 * spread @ slow + back[:, None] * alpha + 4 * draw.normal(size=(19, len(time)))


def main(steps: int = 1000, people: int = 600, out: Path | None = None) -> anymae.Scores:
    """Check, pretrain, evaluate, draw."""
    print(anymae.check_adapter(EEG, skip=["learns"]))
    closed = np.arange(2 * people) % 2
    recordings = np.stack([recording(state, seed) for seed, state in enumerate(closed)])
    run = anymae.pretrain(
        recordings[:people], EEG, size="nano", steps=steps, batch_size=32, lr=3e-3,
        validation=0.1, out=out or Path(mkdtemp()) / "eeg",
    )  # fmt: skip
    known, asked = slice(0, people), slice(people, None)
    scores = anymae.evaluate(
        run.model, (recordings[known], closed[known]), (recordings[asked], closed[asked])
    )
    print(scores)
    run.model.reconstruct(recordings[asked][:4]).plot(run.path / "reconstruction.png")
    print(run.report())
    return scores


if __name__ == "__main__":
    main()
