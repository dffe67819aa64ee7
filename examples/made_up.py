"""Made-up data for the examples of new modalities: brain recordings and protein sequences."""

import numpy as np

RATE = 100  # samples of a recording in a second
HEAD = 9 * np.array(  # centimetres to the right and to the front: Fp1 Fp2 F7 F3 Fz ... O1 O2
    [[-0.31, 0.95], [0.31, 0.95], [-0.81, 0.59], [-0.39, 0.52], [0, 0.5], [0.39, 0.52],
     [0.81, 0.59], [-1, 0], [-0.5, 0], [0, 0], [0.5, 0], [1, 0], [-0.81, -0.59], [-0.39, -0.52],
     [0, -0.5], [0.39, -0.52], [0.81, -0.59], [-0.31, -0.95], [0.31, -0.95]]
)  # fmt: skip
LETTERS = "ACDEFGHIKLMNPQRSTVWY"
ANCESTOR = "AKELVRGDFTNPYQISHLWEKCGAVDTRMLNEQSFKIYPG"


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
