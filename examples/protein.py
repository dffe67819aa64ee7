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
from made_up import LETTERS, protein

import anymae


@anymae.register
class Protein(anymae.SymbolAdapter):
    """Sequences as strings of any length. A token is one residue (which of 20), at its place."""

    name: ClassVar[str] = "protein"
    token_dim: ClassVar[int] = len(LETTERS)
    coord_dim: ClassVar[int] = 1

    def native(self, dataset: Any) -> Sequence[str] | None:
        """A list of sequences, which would else be taken for a list of paths."""
        listed = isinstance(dataset, list) and all(isinstance(s, str) for s in dataset)
        return dataset if listed and not any(set("./") & set(s) for s in dataset) else None

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

    def draw(self, axes: Any, sample: Any) -> None:
        axes.text(0, 0.5, textwrap.fill(sample, 20), family="monospace", size=5, va="center")
        axes.set_axis_off()

    def example(self, seed: int) -> str:
        return protein(seed % 4, seed)


def main(steps: int = 500, proteins: int = 800, out: Path | None = None) -> anymae.Scores:
    """Check, pretrain, evaluate, draw."""
    print(anymae.check_adapter(Protein, skip=["learns"]))
    kinds = np.arange(2 * proteins) % 4
    sequences = [protein(kind, seed) for seed, kind in enumerate(kinds)]
    train, test = ((sequences[h], kinds[h]) for h in (slice(proteins), slice(proteins, None)))
    run = anymae.pretrain(
        train[0], Protein, size="nano", steps=steps, batch_size=32, lr=2e-3,
        out=out or Path(mkdtemp()) / "protein",
    )  # fmt: skip
    scores = anymae.evaluate(run.model, train, test)
    run.model.reconstruct(test[0][:4]).plot(run.path / "reconstruction.png")
    print(scores, run.report(), sep="\n")
    return scores


if __name__ == "__main__":
    main()
