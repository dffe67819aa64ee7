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
from made_up import HEAD, recording

import anymae

PATCH = 50  # samples a token: half a second


@anymae.register
class EEG(anymae.Adapter):
    """Recordings (19 electrodes, samples at 100 Hz) in microvolts. A token is half a second
    of one electrode; its coordinates are where on the head that is, in centimetres, and when."""

    name: ClassVar[str] = "eeg"
    token_dim: ClassVar[int] = PATCH
    coord_dim: ClassVar[int] = 3
    microvolts: float = 10.0

    def tokenize(self, sample: Any) -> anymae.Tokens:
        array = np.asarray(sample)
        if array.dtype.kind != "f" or array.ndim != 2 or len(array) != len(HEAD):
            raise anymae.BadInput("not a recording", found=array.shape, expected="(19, samples)")
        count = array.shape[1] // PATCH
        if count == 0 or not np.isfinite(array).all():
            raise anymae.BadInput("a recording must be finite and last half a second")
        place = torch.tensor(HEAD, dtype=torch.float32).repeat_interleave(count, 0)
        time = torch.arange(count).repeat(len(HEAD))[:, None]
        patches = torch.tensor(array[:, : count * PATCH] / self.microvolts, dtype=torch.float32)
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

    def example(self, seed: int) -> np.ndarray:
        return recording(seed % 2, seed)


def main(steps: int = 1000, people: int = 600, out: Path | None = None) -> anymae.Scores:
    """Check, pretrain, evaluate, draw."""
    print(anymae.check_adapter(EEG, skip=["learns"]))
    closed = np.arange(2 * people) % 2
    recordings = np.stack([recording(state, seed) for seed, state in enumerate(closed)])
    train, test = ((recordings[h], closed[h]) for h in (slice(people), slice(people, None)))
    run = anymae.pretrain(
        train[0],
        EEG,
        size="nano",
        steps=steps,
        batch_size=32,
        lr=3e-3,
        out=out or Path(mkdtemp()) / "eeg",
    )
    scores = anymae.evaluate(run.model, train, test)
    run.model.reconstruct(test[0][:4]).plot(run.path / "reconstruction.png")
    print(scores, run.report(), sep="\n")
    return scores


if __name__ == "__main__":
    main()
