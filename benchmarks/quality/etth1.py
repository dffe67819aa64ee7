"""MAE on ETTh1: forecasts from frozen and from fine-tuned features, beside the raw look-back.

    python -m anymae.benchmarks.quality.etth1 DATA [--steps 600] [--tune] [--out DIR] [--json FILE]

DATA is ``ETTh1.csv``. 12, 4 and 4 months of 30 days are for training, validation and test;
statistics are those of training; a look-back may reach into the part before; every window counts.
Look-back 512 in patches of 16 steps, channels independent, encoder 64 x 3. Frozen features are
those of the first block, which forecast the validation part best; fine-tuning starts from the
whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import anymae
from anymae.benchmarks.quality.record import Benchmark, row

ENCODER = anymae.EncoderConfig(
    width=64, depth=3, heads=4, cls=False,
    layout="window", window=(None, 1.0), shifted=False, global_every=0,
)  # fmt: skip
SETTINGS: dict[str, Any] = {"target.normalise": "none", "mask.ratio": 0.4}
LAYER = 0
LOOK_BACK = 512
STRIDE = 4
"""Training windows lie this many steps apart; every test window counts."""
HORIZONS = (96, 192, 336, 720)
TRAIN, VALIDATION, TEST = 8640, 11520, 14400
"""Where each part ends."""


def measure(data: Path, steps: int, tune: bool, out: Path, seed: int) -> dict[str, Any]:
    """Pretrain once, forecast at every horizon; returns what is printed and saved."""
    values = np.loadtxt(data, delimiter=",", skiprows=1, usecols=range(1, 8))
    train = values[:TRAIN]
    held, test = values[TRAIN - LOOK_BACK : VALIDATION], values[VALIDATION - LOOK_BACK : TEST]
    run = anymae.pretrain(
        train,
        modality="timeseries",
        size=ENCODER,
        steps=steps,
        batch_size=32,
        lr=1e-3,
        validation=values[TRAIN:VALIDATION],
        out=out,
        seed=seed,
        modality_options={"window": LOOK_BACK, "patch": 16},
        **SETTINGS,
    )
    rows = {}
    for horizon in HORIZONS:
        protocol = {"kind": "forecasting", "horizon": horizon, "stride": STRIDE}
        scores = anymae.evaluate(run.model, train, test, protocol=protocol, seeds=1, layer=LAYER)
        print(scores, flush=True)
        rows[str(horizon)] = row(scores, "mae", "penalty")
        if tune:
            tuned = anymae.finetune(
                run.model, train, held, task="forecasting", horizon=horizon, epochs=2,
                stride=STRIDE, seed=seed,
            )  # fmt: skip
            rows[str(horizon)]["fine_tuned"] = {"mse": tuned.score(test), "history": tuned.history}
            print(rows[str(horizon)]["fine_tuned"], flush=True)
    return {
        "steps": steps,
        "seed": seed,
        "pretraining_seconds": round(run.history[-1]["seconds"]),
        "last": run.history[-1],
        "mse": rows,
    }


RUNS = (("etth1/ETTh1.csv",),)


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's docstring."""
    benchmark = Benchmark("etth1", __doc__, steps=600)
    benchmark.option("--tune", action="store_true")
    benchmark.option("--seed", type=int, default=0)
    options = benchmark.parse(arguments)
    result = measure(options.data, options.steps, options.tune, options.out, options.seed)
    benchmark.record(options, result)


if __name__ == "__main__":
    main()
