"""Pictures of reconstructions: one place a sample and version, hidden places unmistakable."""

import io

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from anymae.errors import BadConfig, CheckpointError
from anymae.report.artifacts import save_reconstruction
from anymae.report.pictures import THEMES, plot_reconstruction, reconstruction_png

from .folders import reconstruction


def cell(picture: np.ndarray, row: int, column: int, columns: int) -> np.ndarray:
    """Pixels of one cell, by where the layout of the figure puts it, without its edges."""
    height, width = picture.shape[:2]
    labels = round(width * 0.62 / (0.62 + columns * 1.15))
    top, left = row * height // 3, labels + column * (width - labels) // columns
    part = picture[top : top + height // 3, left : left + (width - labels) // columns]
    return part[24:-24, 24:-24]


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


@pytest.mark.parametrize(("samples", "columns", "shown"), [(3, 8, 3), (5, 2, 2), (1, 1, 1)])
def test_three_rows_and_a_column_a_sample(samples, columns, shown):
    figure = plot_reconstruction(reconstruction(samples), columns=columns)
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 3 * shown
    assert [text.get_text() for text in figure.texts] == ["original", "masked", "rebuilt"]


@pytest.mark.parametrize("theme", THEMES)
def test_hidden_pixels_are_hatched_and_visible_ones_are_not(theme):
    picture = pixels(reconstruction_png(reconstruction(2), 2, theme))
    masked = cell(picture, 1, 0, 2)
    half = len(masked) // 2
    hidden, seen = masked[: half - 8], masked[half + 8 :]
    assert len(np.unique(seen.reshape(-1, 3), axis=0)) == 1
    shades = np.unique(hidden.reshape(-1, 3), axis=0)
    assert len(shades) > 3, "a hatch has many shades, content here has one"
    ground = [int(THEMES[theme].hidden[i : i + 2], 16) for i in (1, 3, 5)]
    assert (hidden == ground).all(-1).mean() > 0.2
    original = cell(picture, 0, 0, 2)
    assert (original == seen[0, 0]).all(), "nothing is hatched where nothing is hidden"


def test_cells_follow_the_shape_of_the_samples():
    wide = reconstruction(2)
    for version in (wide.original, wide.masked, wide.reconstruction):
        version[:] = [np.concatenate([image, image], 1) for image in version]
    square, flat = (plot_reconstruction(r).get_size_inches() for r in (reconstruction(2), wide))
    assert square[0] == flat[0]
    assert flat[1] < 0.6 * square[1]


def test_drawing_touches_no_global_state():
    before = dict(mpl.rcParams)
    plot_reconstruction(reconstruction())
    from matplotlib import _pylab_helpers

    assert not _pylab_helpers.Gcf.figs
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_ending_names_the_format(tmp_path, ending):
    path = tmp_path / "deep" / f"picture.{ending}"
    reconstruction().plot(path)
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert path.read_bytes().startswith(starts[ending])
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_refusals(tmp_path):
    with pytest.raises(BadConfig, match=r"picture\.xyz.*png"):
        reconstruction().plot(tmp_path / "picture.xyz")
    with pytest.raises(BadConfig, match="no sample"):
        reconstruction(0).plot()
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_reconstruction(tmp_path / "file", reconstruction())
