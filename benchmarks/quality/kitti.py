"""Masked voxels of a lidar sweep: rebuilt by a model against copied from the nearest visible one.

    python -m anymae.benchmarks.quality.kitti DATA [--steps 1500] [--out DIR] [--json FILE]

DATA is a folder with ``kitti_000000.bin``: one sweep of 115,384 points (x, y, z in metres,
reflectance). A sector of it is held out: all points whose direction is within 45 degrees of
straight behind the car. Training crops are boxes of 16 x 16 m elsewhere, test crops boxes in that
sector. Encoder 96 x 4 with windows of 16 voxels, voxels of 0.5 m, of which 70 % are hidden.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import anymae
from anymae.benchmarks.quality.record import Benchmark
from anymae.data.batches import read_batch
from anymae.data.sources import open_source
from anymae.masks import Roles
from anymae.model import Model
from anymae.tokens import OBSERVED, Packed

Cloud = NDArray[np.float32]
ENCODER = anymae.EncoderConfig(width=96, depth=4, heads=3, layout="window", window=(16.0,))
SIDE = 16.0
VOXEL = 0.5
FEWEST = 400
"""Points that a crop has at least."""


def crops(sweep: Cloud, count: int, seed: int) -> tuple[list[Cloud], list[Cloud]]:
    """``count`` training crops, and a quarter as many of the held-out sector: boxes around points
    drawn at random, evenly over distance."""
    behind = np.abs(np.arctan2(sweep[:, 1], -sweep[:, 0])) < np.pi / 4
    draw = np.random.default_rng(seed)
    return tuple(  # type: ignore[return-value]
        _boxes(sweep[part], wanted, draw)
        for part, wanted in ((~behind, count), (behind, count // 4))
    )


def _boxes(points: Cloud, count: int, draw: np.random.Generator) -> list[Cloud]:
    distance = np.hypot(points[:, 0], points[:, 1])
    found: list[Cloud] = []
    while len(found) < count:
        near = np.abs(distance - draw.uniform(4, 40)) < 1
        centre = points[draw.choice(np.flatnonzero(near)), :2]
        box = points[(np.abs(points[:, :2] - centre) < SIDE / 2).all(1)]
        if len(box) >= FEWEST:
            found.append(box)
    return found


def chamfer(ours: Tensor, theirs: Tensor, our: Tensor, their: Tensor) -> tuple[Tensor, Tensor]:
    """Squared and plain Chamfer distances (A,) of sets (A, K, 3) and (A, L, 3) in metres; ``our``
    (A, K) and ``their`` (A, L) say which points are there."""
    apart = torch.cdist(ours, theirs)
    apart = apart.masked_fill(~(our[:, :, None] & their[:, None]), float("inf"))
    found = []
    for power in (2, 1):
        forth = (apart.amin(2) ** power).masked_fill(~our, 0).sum(1) / our.sum(1)
        back = (apart.amin(1) ** power).masked_fill(~their, 0).sum(1) / their.sum(1)
        found.append(forth + back)
    return found[0], found[1]


def compared(model: Model, packed: Packed, roles: Roles) -> dict[str, list[Tensor]]:
    """The distances of three answers for the hidden voxels of a batch."""
    shape = model.adapter.token_shape
    half = VOXEL / 2
    places = (packed.values.unflatten(1, shape)[..., :3]) * half
    there = packed.side[OBSERVED].unflatten(1, shape)[..., 0]
    with torch.no_grad():
        said = model(packed, roles).prediction.float().unflatten(1, shape)[..., :3] * half
    truth, known = places[roles.ask], there[roles.ask]
    cells = packed.coords.double() + 1e6 * packed.segments.ids("cpu")[:, None]
    nearest = roles.see[torch.cdist(cells[roles.ask], cells[roles.see]).argmin(1)]
    step = (packed.coords[nearest] - packed.coords[roles.ask]).float() * VOXEL
    every = torch.ones(said.shape[:2], dtype=torch.bool)
    copied, copy_known = places[nearest], there[nearest]
    return {
        "rebuilt": list(chamfer(said, truth, every, known)),
        "nearest visible voxel, moved": list(chamfer(copied, truth, copy_known, known)),
        "nearest visible voxel": list(
            chamfer(copied + step[:, None], truth, copy_known, known)
        ),
    }  # fmt: skip


def judge(model: Model, test: list[Cloud]) -> dict[str, Any]:
    """Mean distances over all hidden voxels of the test crops."""
    source = open_source(test, model.adapter)
    sums: dict[str, list[Tensor]] = {}
    for start in range(0, len(test), 16):
        indices = range(start, min(start + 16, len(test)))
        packed = read_batch(source, model.adapter, indices, 0, "test")
        for name, each in compared(model, packed, model.recipe.mask.draw(packed)).items():
            sums.setdefault(name, []).append(torch.stack(each))
    return {
        name: {
            "squared_chamfer_m2": round(float(torch.cat(parts, 1)[0].mean()), 5),
            "chamfer_m": round(float(torch.cat(parts, 1)[1].mean()), 4),
            "hidden_voxels": torch.cat(parts, 1).shape[1],
        }
        for name, parts in sums.items()
    }


def measure(data: Path, steps: int, out: Path) -> dict[str, Any]:
    """Pretrain on crops, compare on held-out ones; returns what is printed and saved."""
    sweep = np.fromfile(data / "kitti_000000.bin", np.float32).reshape(-1, 4)
    train, test = crops(sweep, 256, seed=0)
    start = time.perf_counter()
    run = anymae.pretrain(
        train,
        modality="pointcloud",
        size=ENCODER,
        steps=steps,
        batch_size=8,
        lr=1e-3,
        out=out,
        modality_options={"tokens": "voxels", "voxel_size": VOXEL, "normalise": "centre"},
    )
    minutes = (time.perf_counter() - start) / 60
    run.model.reconstruct(test[:6]).plot(run.path / "picture.png")
    run.report()
    return {
        "steps": steps,
        "pretraining_minutes": round(minutes, 1),
        "train_crops": len(train),
        "test_crops": len(test),
        "results": judge(run.model, test),
    }


RUNS = (("lidar_sweeps",),)


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's docstring."""
    benchmark = Benchmark("kitti", __doc__, steps=1500)
    options = benchmark.parse(arguments)
    result = measure(options.data, options.steps, options.out)
    benchmark.record(options, result)


if __name__ == "__main__":
    main()
