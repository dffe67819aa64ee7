"""Run folders written by hand, through the public classes, and the page taken apart."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from anymae.config import with_overrides
from anymae.encoder import EncoderConfig
from anymae.inference import Reconstruction
from anymae.modalities.image.adapter import ImageAdapter
from anymae.model import ModelConfig
from anymae.registry import recipe
from anymae.report.artifacts import save_diagnosis, save_reconstruction, save_scores
from anymae.storage import write_json
from anymae.training.history import write_history
from anymae.training.run import RunConfig

ADAPTER = ImageAdapter(
    patch_size=(2, 2), image_size=(8, 8), channels=1, channel_axis="last", mean=(0.0,), std=(1.0,),
    value_range=(-1.0, 1.0), dtype="float32",
)  # fmt: skip
RESOLVED = {"training.batch_size": 64}
NONE = "\N{EN DASH}"
TRIVIAL, HELD_OUT_TRIVIAL = 0.5, 0.4
WIDE = {"value": 0.9, "interval": (0.85, 0.95)}
SCORES = {
    "metric": "accuracy", "task": "classification", "train_samples": 1400, "test_samples": 397,
    "how": "1000 resamples", "raw_features": "token values", **WIDE,
    "raw": {"value": 0.7, "interval": (0.6, 0.8)},
    "random_init": {"value": 0.5, "interval": (0.4, 0.6)},
    "over_raw": {"value": 0.2, "interval": (0.1, 0.3)},
    "over_random_init": {"value": 0.4, "interval": (-0.1, 0.5)},
}  # fmt: skip
DIAGNOSIS = {"effective_rank": 12.5, "width": 96, "memorisation": None, "warnings": ["It is flat."]}


def rows(steps: int = 20, validation: bool = True) -> list[dict[str, Any]]:
    """A history whose loss falls from 1 to near 0.2."""
    found = []
    for step in range(1, steps + 1):
        loss, held_out = 0.2 + 0.8 / step, 0.22 + 0.7 / step
        row = {
            "step": step, "epoch": step / 4, "loss": loss,
            "explained_variance": 1 - loss / TRIVIAL, "lr": 1e-4 * step, "grad_norm": 2 / step,
            "tokens_per_second": 1000.0 + step, "samples_per_second": 60.0, "skipped_steps": 0,
            "bad_samples": 0, "seconds": 2.0 * step,
        }  # fmt: skip
        if validation and step % 5 == 0:
            row["validation_loss"] = held_out
            row["validation_explained_variance"] = 1 - held_out / HELD_OUT_TRIVIAL
        found.append(row)
    return found


def run_folder(path: Path, method: Any = None, history: list | None = None, **fields: Any) -> Path:
    """An unfinished run of the image modality, by default of MAE with 20 logged steps."""
    path.mkdir(parents=True, exist_ok=True)
    model = ModelConfig(
        modality="image",
        adapter=ADAPTER.model_dump(mode="json"),
        recipe=with_overrides(method or recipe("mae"), RESOLVED, "recipe"),
        encoder=EncoderConfig(width=96, depth=4, heads=3),
    )
    given = {"seed": 0, "precision": "fp32", "validation": 0.1, "data": "0123abcd"} | fields
    write_json(path / "config.json", RunConfig(model=model, **given))
    write_history(path / "history.csv", rows() if history is None else history)
    checkpoint = path / "checkpoints" / "step-000000020"
    checkpoint.mkdir(parents=True, exist_ok=True)
    manifest = {"format": 1, "step": 20, "torch": "2.11.0", "threads": 2, "files": {}}
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))
    return path


def reconstruction(samples: int = 3, hidden: tuple[slice, slice] | None = None) -> Reconstruction:
    """Grey 8 x 8 images of floats whose hidden pixels are NaN."""
    where = hidden or (slice(0, 4), slice(0, 8))
    original = [np.full((8, 8, 1), 0.9, np.float32) for _ in range(samples)]
    masked = [image.copy() for image in original]
    for image in masked:
        image[where] = np.nan
    return Reconstruction(original, masked, [image * 0.5 for image in original], ADAPTER)


class Page(HTMLParser):
    """What a browser would find in a page: elements with their attributes, and visible text."""

    EMPTY = ("meta", "img", "source", "br", "link", "input", "hr")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"{tag} closed out of order"

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def read(path) -> Page:
    return Page(path.read_text())


def assert_inert(html: str) -> None:
    page = Page(html)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "iframe", "object", "embed", "link", "base", "form", "svg", "a"}
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name in ("src", "srcset") or "://" not in (value or ""), (tag, name, value)
            if name in ("src", "srcset"):
                assert re.fullmatch(r"data:image/(png|svg\+xml);base64,[A-Za-z0-9+/=]+", value)
                assert_picture_is_inert(value)
    assert "url(" not in html
    assert "@import" not in html
    policies = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def assert_picture_is_inert(uri: str) -> None:
    if uri.startswith("data:image/svg"):
        svg = base64.b64decode(uri.partition(",")[2]).decode()
        assert "<script" not in svg
        assert not re.search(r"\son\w+=|href=\"(?!#)", svg)


def full(path, **fields):
    run = run_folder(path, **fields)
    save_scores(run, "linear", SCORES)
    save_diagnosis(run, DIAGNOSIS)
    save_reconstruction(run, reconstruction())
    return run
