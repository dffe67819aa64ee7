"""Sample 17 is named by its file and row, whatever holds it, and no shard loses one silently
(I3)."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import anymae

from . import formats

TINY = anymae.EncoderConfig(width=16, depth=1, heads=2)
BAD = 17
SERIES = np.random.default_rng(0).normal(size=(20, 40, 2))
NAN = np.nan


def spoiled(array: np.ndarray, value: float = NAN) -> np.ndarray:
    return formats.with_value(array, (BAD, ...), value)


def images() -> np.ndarray:
    return spoiled(np.random.default_rng(0).normal(size=(20, 8, 8)))


def numpy_file(folder: Path) -> Path:
    np.save(folder / "x.npy", images())
    return folder / "x.npy"


def zipped(folder: Path) -> Path:
    np.savez(folder / "x.npz", x=images())
    return folder / "x.npz"


def parquet_of_pictures(folder: Path) -> Path:
    import pyarrow as pa
    from pyarrow import parquet

    cells = [formats.TEXT if number == BAD else formats.png(number) for number in range(20)]
    parquet.write_table(pa.table({"image": cells}), folder / "x.parquet", row_group_size=6)
    return folder / "x.parquet"


def shard(folder: Path) -> Path:
    with tarfile.open(folder / "x.tar", "w") as archive:
        for number in range(20):
            content = formats.TEXT if number == BAD else formats.png(number)
            info = tarfile.TarInfo(f"{number:02d}.png")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return folder / "x.tar"


def csv_of_rows(folder: Path) -> list[Path]:
    """Two files of ten rows, of which row 7 of the second has no cell."""
    draw = np.random.default_rng(0)
    for part in range(2):
        rows = [f"{a:.3f},{b:.3f}" for a, b in draw.normal(size=(10, 2))]
        if part:
            rows[BAD - 10] = ","
        (folder / f"{part}.csv").write_text("a,b\n" + "\n".join(rows) + "\n")
    return [folder / "0.csv", folder / "1.csv"]


def parquet_of_rows(folder: Path) -> Path:
    import pyarrow as pa
    from pyarrow import parquet

    cells = np.random.default_rng(0).normal(size=20)
    cells[BAD] = NAN
    parquet.write_table(pa.table({"a": cells, "b": cells}), folder / "x.parquet")
    return folder / "x.parquet"


def long_csv(folder: Path) -> Path:
    """Windows of 16 steps from each step on, of which those from 80 to 100 hold nothing."""
    table = formats.table(0, 200)
    rows = [f"{a:.3f},{b:.3f}" if i < 80 or i > 120 else "," for i, (a, b) in enumerate(table)]
    (folder / "x.csv").write_text("a,b\n" + "\n".join(rows) + "\n")
    return folder / "x.csv"


def frame_folders(folder: Path) -> Path:
    for video in range(20):
        (folder / "videos" / f"{video:02d}").mkdir(parents=True)
        for frame in range(4):
            path = folder / "videos" / f"{video:02d}" / f"{frame}.png"
            path.write_bytes(formats.png(video + frame))
            if video == BAD and frame == 2:
                path.write_bytes(formats.TEXT)
    return folder / "videos"


PLACES: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "array": ("image", lambda folder: images(), "sample 17, row 0, column 0"),
    "list": ("image", lambda folder: list(images()), "sample 17, row 0, column 0"),
    "pictures": ("image", lambda folder: [*[Image.new("RGB", (8, 8))] * BAD, None], "sample 17"),
    "npy": ("image", numpy_file, "x.npy[row 17], row 0, column 0"),
    "npz": ("image", zipped, "x.npz[x][row 17], row 0, column 0"),
    "parquet": ("image", parquet_of_pictures, "x.parquet[row 17]"),
    "tar": ("image", shard, "x.tar[17.png]"),
    "csv rows": ("tabular", csv_of_rows, "1.csv[row 7]"),
    "parquet rows": ("tabular", parquet_of_rows, "x.parquet[row 17]"),
    "matrix": ("tabular", lambda folder: spoiled(SERIES[:, 0]), "sample 17"),
    "series": ("timeseries", lambda folder: spoiled(SERIES), "sample 17"),
    "windows": ("timeseries", long_csv, "x.csv[steps 80 to 95]"),
    "clouds": ("pointcloud", lambda folder: spoiled(SERIES[..., [0, 1, 0]]), "sample 17"),
    "sounds": ("audio", lambda folder: list(spoiled(SERIES[..., 0].repeat(50, 1))), "sample 17"),
    "frame folders": ("video", frame_folders, "videos/17/2.png"),
    "videos": ("video", lambda folder: spoiled(SERIES.reshape(20, 5, 4, 4)), "sample 17, frame 0"),
    "graphs": (
        "graph",
        lambda folder: [
            {"x": x, "edges": [[0], [1 + 99 * (i == BAD)]]} for i, x in enumerate(SERIES)
        ],
        "sample 17, edge 0",
    ),
}
OPTIONS = {"audio": {"sample_rate": 8000}, "timeseries": {"window": 16}}


@pytest.mark.parametrize("kind", PLACES)
def test_what_is_wrong_is_named_by_its_place(kind, tmp_path):
    modality, make, place = PLACES[kind]
    options = {} if kind == "series" else OPTIONS.get(modality, {})
    with pytest.raises(anymae.BadInput) as caught:
        anymae.pretrain(make(tmp_path), modality, size=TINY, steps=8, batch_size=32,
                        precision="fp32", out=tmp_path / "run", modality_options=options,
                        **{"training.workers": 0})  # fmt: skip
    assert place in str(caught.value)
    assert str(caught.value).count(place.partition(",")[0]) == 1


@pytest.mark.parametrize("mode", ["raise", "skip"])
def test_a_damaged_header_in_a_shard_is_named_with_its_byte(tmp_path, mode):
    path = shard(tmp_path)
    with tarfile.open(path) as archive:
        header = archive.getmember("09.png").offset
    content = bytearray(path.read_bytes())
    content[header + 100] ^= 1
    path.write_bytes(content)
    with pytest.raises(anymae.BadInput) as caught:
        anymae.pretrain(path, "image", size=TINY, steps=1, out=tmp_path / "run",
                        **{"training.on_bad_sample": mode})  # fmt: skip
    assert f"x.tar, byte {header}: damaged tar header" in str(caught.value)
