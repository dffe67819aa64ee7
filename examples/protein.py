"""A modality of one's own: protein sequences, a residue a token. From letters to features.

    python examples/protein.py

Sequences are made up: circular permutants of one ancestor, which have the same residues and begin
in another of its four quarters, a third of them mutated, with a tail of any length. A probe tells
the four by frozen features, beside the residues' counts, which cannot know, and a random encoder.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

import anymae
from anymae.losses import Loss

LETTERS = "ACDEFGHIKLMNPQRSTVWY"
ANCESTOR = "AKELVRGDFTNPYQISHLWEKCGAVDTRMLNEQSFKIYPG"


@anymae.register
class Protein(anymae.Adapter):
    """Sequences as strings of any length. A token is one residue (which of 20), at its place; a
    prediction is 20 logits, scored by cross-entropy."""

    name: ClassVar[str] = "protein"

    @property
    def token_dim(self) -> int:
        return len(LETTERS)

    @property
    def coord_dim(self) -> int:
        return 1

    def native(self, dataset: Any) -> Sequence[str] | None:
        """A list of sequences, which would else be taken for a list of paths."""
        listed = isinstance(dataset, list) and all(isinstance(s, str) for s in dataset)
        return dataset if listed and not any("." in s or "/" in s for s in dataset) else None

    def tokenize(self, sample: Any) -> anymae.Tokens:
        if not isinstance(sample, str) or not sample or set(sample) - set(LETTERS):
            raise anymae.BadInput("not a protein", found=repr(sample)[:80], expected=LETTERS)
        residues = torch.tensor([LETTERS.index(letter) for letter in sample])
        return anymae.Tokens(torch.eye(len(LETTERS))[residues], torch.arange(len(sample))[:, None])

    def untokenize(self, tokens: anymae.Tokens) -> str:
        letters = ["."] * (int(tokens.coords.max()) + 1)  # a dot for what is missing
        for place, values in zip(tokens.coords[:, 0].tolist(), tokens.values, strict=True):
            letters[place] = "." if values.isnan().any() else LETTERS[int(values.argmax())]
        return "".join(letters)

    def content_loss(
        self, loss: Loss, prediction: Tensor, target: Tensor, asked: anymae.Packed
    ) -> Tensor:
        return -(target * prediction.float().log_softmax(1)).sum(1)

    def as_content(self, prediction: Tensor, asked: anymae.Packed) -> Tensor:
        return prediction.float().softmax(1)

    def as_prediction(self, content: Tensor, asked: anymae.Packed) -> Tensor:
        return content.clamp(min=1e-4).log()

    def numbers(self, recipe: str) -> dict[str, Any]:
        return {"mask.ratio": 0.5, "target.normalise": "none"} if recipe == "mae" else {}

    def draw(self, axes: Any, sample: Any) -> None:
        axes.text(0, 0.5, textwrap.fill(sample, 20), family="monospace", size=5, va="center")
        axes.set_axis_off()

    def example(self, seed: int) -> str:
        return protein(seed % 4, seed)


def protein(kind: int, seed: int) -> str:
    """A methionine, the ancestor from one of its quarters on with a third of its residues mutated,
    and a tail."""
    draw = np.random.default_rng(seed)
    start = 10 * kind
    residues = np.array(list(ANCESTOR[start:] + ANCESTOR[:start]))
    mutated = draw.random(len(residues)) < 1 / 3
    residues[mutated] = draw.choice(list(LETTERS), size=mutated.sum())
    tail = draw.choice(list(LETTERS), size=draw.integers(0, 9))
    return "M" + "".join(residues) + "".join(tail)


def main(steps: int = 500, proteins: int = 800, out: Path | None = None) -> anymae.Scores:
    """Check, pretrain, evaluate, draw."""
    print(anymae.check_adapter(Protein, skip=["learns"]))
    kinds = np.arange(2 * proteins) % 4
    sequences = [protein(kind, seed) for seed, kind in enumerate(kinds)]
    known, asked = slice(0, proteins), slice(proteins, None)
    run = anymae.pretrain(
        sequences[known], Protein, size="nano", steps=steps, batch_size=32, lr=2e-3,
        validation=0.1, out=out or Path(mkdtemp()) / "protein",
    )  # fmt: skip
    scores = anymae.evaluate(
        run.model, (sequences[known], kinds[known]), (sequences[asked], kinds[asked])
    )
    print(scores)
    run.model.reconstruct(sequences[asked][:4]).plot(run.path / "reconstruction.png")
    print(run.report())
    return scores


if __name__ == "__main__":
    main()
