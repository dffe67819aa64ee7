"""Recipes on real data of the modality they were made for: better than trivial predictors on
samples that were held out."""

import os
from collections.abc import Callable
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import anymae
from anymae.benchmarks.quality import cora, methods

pytestmark = pytest.mark.slow

ENCODER = anymae.EncoderConfig(width=64, depth=2, heads=2)
Data = tuple[Any, str, dict[str, Any]]


def glyphs(data: Path) -> Data:
    """Characters that move past still ones."""
    with np.load(data / "moving_glyphs" / "moving_glyphs_16x32.npz") as file:
        clips = file["video"][:2200]
    return clips, "video", {"patch_size": (4, 4, 4), "crop_scale": None}


def citations(data: Path) -> Data:
    """Papers that cite one another, one graph."""
    return [cora.read(data / "graph_nodes" / "cora.npz")[0]], "graph", {}


def of_task(read: Callable[[Path], methods.Task]) -> Callable[[Path], Data]:
    def known(data: Path) -> Data:
        task = read(data)
        return methods.samples_of(task.train), task.modality, dict(task.options)

    return known


images, series, rows, clouds = (
    of_task(read) for read in (methods.images, methods.series, methods.rows, methods.clouds)
)
WHOLE = {"validation": None, "batch_size": 1}
"""One sample: nothing can be held out but its edges, which are hidden anew each step."""
SHORT = {"teacher.start": 0.98, "teacher.end": 0.999}
"""Moving averages follow faster in a short run."""
MOVING = {
    "target.normalise": "none", "position.longest": 5, "training.clip": 1.0,
    "decoder.width": 64, "decoder.depth": 2,
}  # fmt: skip
"""Few places, and stills of one value."""


def coloured(data: Path) -> Data:
    """Small photographs of three channels."""
    with np.load(data / "cifar10" / "cifar10_test_jpeg.npz") as file:
        stored, ends = file["data"].tobytes(), file["offsets"][:1501]
    photos = [Image.open(BytesIO(stored[a:b])) for a, b in pairwise(ends)]
    options = {"patch_size": 8, "crop_scale": None, "flip": False}
    return np.stack([np.asarray(photo) for photo in photos]), "image", options


BALANCED = SHORT | {
    "target.codes": 16, "target.lr": 1e-2, "lr": 1e-3, "mask.ask": 1.0, "batch_size": 64,
}  # fmt: skip
"""Sixteen tokens a sample: one in twenty would be one, and clusters have a few steps to learn."""
DEEP = {
    "encoder.deeper": 2, "encoder.width": 64, "encoder.heads": 2, "decoder.depth": 3,
    "target.normalise": "none", "mask.ratio": 0.5,
}  # fmt: skip
"""Twice as deep, but not so narrow that little data cannot train it."""


def cells(data: Path) -> Data:
    """Scans in cells of three centimetres."""
    scans, modality, options = clouds(data)
    return scans, modality, options | {"tokens": "voxels", "voxel_size": 0.03}


def pixels(data: Path) -> Data:
    """Handwritten digits, whose tokens a recipe may choose."""
    digits, modality, _ = images(data)
    return digits, modality, {"flip": False, "crop_scale": None}


CASES: dict[str, tuple[Callable[[Path], Data], int, float, dict[str, Any]]] = {
    "everest": (glyphs, 600, 0.05, MOVING),
    "mgm": (glyphs, 600, 0.02, MOVING),
    "sma": (images, 400, 0.05, {"decoder.depth": 3}),
    "flexpredict": (images, 300, 0.1, SHORT),
    "dabs-mae": (series, 300, 0.02, {}),
    "scarf": (rows, 200, 0.05, {}),
    "saint": (rows, 200, 0.02, {}),
    "maskfeat3d": (clouds, 300, 0.02, {}),
    "voxelmae": (cells, 200, 0.02, {}),
    "maskgae": (citations, 60, 0.2, WHOLE),
    "gae": (citations, 60, 0.2, WHOLE),
    "uta": (images, 200, 0.05, {}),
    "dtm": (images, 200, 0.05, {}),
    "pixel-transformer": (pixels, 600, 0.1, {}),
    "bamboo": (pixels, 800, 0.05, DEEP),
    "pits": (series, 200, 0.5, {}),
    "lfr": (rows, 200, 0.1, {}),
    "simmtm": (series, 200, 0.05, {}),
    "capi": (images, 600, 0.03, BALANCED),
    "cellular": (coloured, 250, 0.1, {}),
    "satmae": (coloured, 250, 0.1, {}),
    "msn": (images, 600, 0.1, SHORT | {"lr": 1e-3}),
}
"""Recipe: its data, steps, the share of the trivial loss that must be gone, settings."""


@pytest.mark.parametrize("recipe", CASES)
def test_a_recipe_beats_trivial_predictors(recipe, tmp_path):
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    read, steps, least, settings = CASES[recipe]
    try:
        samples, modality, options = read(Path(os.environ.get("ANYMAE_DATA", default)))
    except FileNotFoundError as missing:
        pytest.skip(f"no {missing.filename}")
    if recipe == "satmae":
        options = options | {"bands": [[0, 2], [1]]}
    settings = {
        "validation": 0.1, "batch_size": 32, "lr": 3e-3, "training.workers": 0,
        "training.validate_every": steps, **settings,
    }  # fmt: skip
    if anymae.recipes()[recipe].teacher.kind == "given":
        first = anymae.pretrain(
            samples, modality, "mae", ENCODER, steps=100, batch_size=32, lr=3e-3, seed=1,
            out=tmp_path / "first", modality_options=options, **{"training.workers": 0},
        )  # fmt: skip
        modality, options = first.model.adapter, {}
        settings["teacher.path"] = str(first.path)
    run = anymae.pretrain(
        samples, modality, recipe, ENCODER, steps=steps, out=tmp_path / "run",
        modality_options=options, **settings,
    )  # fmt: skip
    last = run.history[-1]
    gone = last.get("validation_explained_variance", last["explained_variance"])
    assert gone > least, last
