import io
import pickle
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anymae.data.sources import open_source
from anymae.errors import BadInput
from anymae.limits import LIMITS

from .tiny import TinyImage, png, refusal, value

IMAGE = TinyImage()
PICTURES = np.arange(4 * 2 * 2, dtype=np.float32).reshape(4, 2, 2)


class Evil:
    """Leaves a file behind if it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def npy(header: str, body: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + body


def saved(path, array, **options):
    np.save(path, array, **options)
    return path


# npy


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_npy_is_mapped_not_loaded(tmp_path, order):
    path = saved(tmp_path / "x.npy", np.asarray(PICTURES, order=order))
    source = open_source(path, IMAGE)
    assert isinstance(source.array, np.memmap)
    assert type(source[2]) is np.ndarray
    np.testing.assert_array_equal(source[2], PICTURES[2])
    assert source.where(2) == f"{path}[row 2]"
    assert open_source((str(path), [1, 2, 3, 4]), IMAGE).label(1) == 2


def test_a_mapped_array_is_pickled_as_its_path(tmp_path):
    source = open_source(saved(tmp_path / "x.npy", np.zeros((50, 100))), IMAGE)
    data = pickle.dumps(source)
    assert len(data) < 1000
    assert pickle.loads(data)[49].shape == (100,)


def test_writing_to_a_sample_leaves_the_file_alone(tmp_path):
    path = saved(tmp_path / "x.npy", PICTURES)
    open_source(path, IMAGE)[1][:] = 9
    np.testing.assert_array_equal(np.load(path), PICTURES)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the npy header cannot be read; found ValueError"),
        (b"text", "the npy header cannot"),
        (b"not a numpy file at all", "as numpy.save writes it"),
        (
            npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4"),
            "the npy header cannot be read",
        ),
        (npy("__import__('os').system('touch evil')"), "the npy header cannot be read"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 2)}", b"\0" * 31), "32 bytes"),
        (
            npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9000000000, 9000000000)}"),
            "claims what is not in the file",
        ),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-4, -2)}"), "claims what is not"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 2)}"), "no numbers"),
        (npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"), "they are pickles"),
        (npy("{'descr': '<c8', 'fortran_order': False, 'shape': (1, 1)}", b"\0" * 8), "complex64"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", b"\0" * 8), "shape (2,)"),
        (npy("{}", version=b"\x07\x00"), "the npy header cannot be read; found KeyError"),
    ],
)
def test_a_damaged_npy_is_named_with_what_is_wrong(tmp_path, data, said):
    path = tmp_path / "x.npy"
    path.write_bytes(data)
    with pytest.raises(BadInput) as caught:
        open_source(path, IMAGE)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).count("x.npy") == 1
    assert said in str(caught.value)


def test_no_pickle_in_numpy_files_is_loaded(tmp_path):
    evil = np.array([[Evil(tmp_path / "evil")]], dtype=object)
    saved(tmp_path / "x.npy", evil, allow_pickle=True)
    np.savez(tmp_path / "x.npz", samples=evil)
    for name, place in (("x.npy", "x.npy"), ("x.npz", "x.npz[samples]")):
        with pytest.raises(BadInput) as caught:
            open_source(tmp_path / name, IMAGE)
        assert str(caught.value).startswith(f"{tmp_path}/{place}: object arrays are not read")
    assert not (tmp_path / "evil").exists()


# npz


@pytest.mark.parametrize(
    ("arrays", "labels", "classes"),
    [
        ({"samples": PICTURES, "labels": [0, 1, 1, 0]}, [0, 1, 1, 0], None),
        ({"images": PICTURES, "y": [5, 6, 7, 8], "other": PICTURES}, [5, 6, 7, 8], None),
        ({"X": PICTURES, "labels": [0, 1, 1, 0], "classes": ["a", "b"]}, [0, 1, 1, 0], ["a", "b"]),
        ({"data": PICTURES, "label": list("ba" * 2)}, [1, 0, 1, 0], ["a", "b"]),
        ({"image": PICTURES, "x": 0 * PICTURES}, None, None),
        ({"pixels": PICTURES, "targets": np.ones((4, 2))}, [[1, 1]] * 4, None),
        ({"arr_0": PICTURES}, None, None),
    ],
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_an_npz_are_found_by_name(tmp_path, save, arrays, labels, classes):
    save(tmp_path / "x.npz", **arrays)
    source = open_source(tmp_path / "x.npz", IMAGE)
    np.testing.assert_array_equal(source[3], PICTURES[3])
    assert (None if source.labels is None else source.labels.tolist()) == labels
    assert source.classes == classes


@pytest.mark.parametrize("keys", [("x_train", "x_test"), ("test_x", "train_x"), ()])
def test_prefixed_names_are_not_guessed(tmp_path, keys):
    np.savez(tmp_path / "x.npz", **dict.fromkeys(keys, PICTURES))
    with pytest.raises(BadInput, match="cannot tell which array holds the samples") as caught:
        open_source(tmp_path / "x.npz", IMAGE)
    assert all(repr(key) in str(caught.value) for key in keys)


def test_samples_laid_end_to_end(tmp_path):
    np.savez(
        tmp_path / "x.npz", data=np.arange(12).reshape(6, 2), offsets=[0, 1, 4, 6], y=[7, 8, 9]
    )
    source = open_source(tmp_path / "x.npz", IMAGE)
    assert [len(sample) for sample in source] == [1, 3, 2]
    assert source.labels.tolist() == [7, 8, 9]


def test_pictures_laid_end_to_end(tmp_path):
    files = [png(i) for i in range(3)]
    offsets = np.cumsum([0, *map(len, files)])
    np.savez(tmp_path / "x.npz", data=np.frombuffer(b"".join(files), np.uint8), offsets=offsets)
    source = open_source(tmp_path / "x.npz", IMAGE)
    assert [value(sample) for sample in source] == [0, 1, 2]


@pytest.mark.parametrize("offsets", [[0, 5], [1, 6], [0, 4, 2, 6], [0.0, 6.0], [0], 3])
def test_offsets_that_do_not_fit_are_refused(tmp_path, offsets):
    np.savez(tmp_path / "x.npz", data=np.zeros((6, 2)), offsets=offsets)
    with pytest.raises(BadInput, match=r"x.npz\[data\]: offsets do not cut the array"):
        open_source(tmp_path / "x.npz", IMAGE)


def test_labels_of_another_number_are_refused_with_the_file(tmp_path):
    np.savez(tmp_path / "x.npz", x=PICTURES, y=[1, 2])
    with pytest.raises(BadInput, match=r"x.npz: labels and samples differ in number; found 2"):
        open_source(tmp_path / "x.npz", IMAGE)


def test_a_bomb_is_refused_before_it_goes_off(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", samples=np.zeros((80, 1000, 1000), np.uint8))
    with pytest.raises(BadInput) as caught:
        open_source(tmp_path / "x.npz", IMAGE)
    assert "x.npz[samples]: the compressed array is too large to be safe" in str(caught.value)
    assert "found 80000128 bytes from" in str(caught.value)
    limits = LIMITS.model_copy(update={"zip_ratio": 2000})
    assert len(open_source(tmp_path / "x.npz", IMAGE, limits=limits)) == 80
    limits = limits.model_copy(update={"zip_member_bytes": 10**7})
    with pytest.raises(BadInput, match="up to 10000000 bytes"):
        open_source(tmp_path / "x.npz", IMAGE, limits=limits)


def test_small_arrays_may_compress_well(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((1000, 10)), y=np.zeros(1000, int))
    assert len(open_source(tmp_path / "x.npz", IMAGE)) == 1000


def test_an_array_header_that_claims_more_than_its_member_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        claim = "{'descr': '<f4', 'fortran_order': False, 'shape': (900000000000, 4)}"
        archive.writestr("samples.npy", npy(claim))
    with pytest.raises(BadInput, match=r"x.npz\[samples\]: the header claims what is not"):
        open_source(tmp_path / "x.npz", IMAGE)


GOOD = io.BytesIO()
np.savez_compressed(GOOD, x=PICTURES, y=[0, 1, 2, 3])


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_no_damage_does_worse_than_bad_input(tmp_path, data):
    good = bytearray(GOOD.getvalue())
    for _ in range(data.draw(st.integers(1, 3))):
        good[data.draw(st.integers(0, len(good) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / "x.npz"
    path.write_bytes(good[: data.draw(st.integers(0, len(good)))])
    said = refusal(lambda: open_source(path, IMAGE))
    assert not said or "x.npz" in said
    assert len(said.splitlines()) <= 1


@pytest.mark.parametrize(
    ("file", "name", "n"),
    [
        ("cifar10/cifar10_test_jpeg.npz", "image", 10_000),
        ("moving_glyphs/moving_glyphs_16x32.npz", "video", 2500),
        ("radhar/radhar_train_2s.npz", "points", 1173),
        ("ts_classification/JapaneseVowels.npz", "timeseries", 640),
    ],
)
def test_real_files(real_data, file, name, n):
    path = real_data / file
    if not path.exists():
        pytest.skip(f"{path} is not here")

    class Named(TinyImage):
        pass

    Named.name = name
    source = open_source(path, Named())
    assert len(source) == len(source.labels) == n
    assert source.labels.max() < len(source.classes)
    assert source[n - 1].ndim >= 2
