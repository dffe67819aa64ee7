"""A method of your own is a few choices: hide blocks, ask for half of them, read by attention.

    python examples/new_method.py

Pretrains it and plain MAE on scikit-learn's digits for as many steps and prints both beside raw
pixels.
"""

from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from sklearn.datasets import load_digits

import anymae

MINE = anymae.Recipe(
    name="half-of-the-blocks",
    paper="nowhere yet",
    year=2026,
    summary="Hide boxes; ask for half of what is hidden; asked tokens read visible ones only.",
    mask={"priority": "block", "ratio": 0.6, "ask": 0.5},
    decoder={"kind": "cross", "depth": 2},
    target={"kind": "content", "normalise": "token"},
)


def main(steps: int = 600, out: Path | None = None) -> dict[str, float]:
    """Train both, print the tables, return the accuracies."""
    digits = load_digits()
    images = (digits.images * (255 / 16)).astype(np.uint8)
    train = images[:1400], digits.target[:1400]
    test = images[1400:], digits.target[1400:]
    out = out or Path(mkdtemp())
    found = {}
    for recipe in ("mae", MINE):
        name = recipe if isinstance(recipe, str) else recipe.name
        run = anymae.pretrain(
            train[0], "image", recipe, size="nano", steps=steps, lr=2e-3, batch_size=64,
            out=out / name, modality_options={"flip": False, "crop_scale": (0.6, 1.0)},
        )  # fmt: skip
        scores = anymae.evaluate(run.model, train, test, protocol="few-shot")
        print(f"{name}\n{scores}\n")
        found[name] = scores.value
    return found


if __name__ == "__main__":
    main()
