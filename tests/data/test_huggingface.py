import pickle

import numpy as np
import pytest
from PIL import Image

from anymae.data.sources import open_source
from anymae.errors import BadInput

from .tiny import TinyImage, TinyRows, TinySound, png, value

datasets = pytest.importorskip("datasets")

PICTURES = [Image.new("RGB", (2, 2), (i, i, i)) for i in range(4)]


@pytest.fixture(scope="module")
def pictures():
    features = datasets.Features(
        img=datasets.Image(),
        fine=datasets.ClassLabel(names=["cat", "dog"]),
        note=datasets.Value("string"),
    )
    columns = {"img": PICTURES, "fine": [0, 1, 1, 0], "note": list("abcd")}
    return datasets.Dataset.from_dict(columns, features=features)


def test_pictures_and_class_names(pictures):
    source = open_source(pictures, TinyImage())
    assert [value(sample) for sample in source] == [0, 1, 2, 3]
    assert isinstance(source[0], np.ndarray)
    assert source.labels.tolist() == [0, 1, 1, 0]
    assert source.classes == ["cat", "dog"]


def test_rows_selected_keep_their_labels(pictures):
    source = open_source(pictures.select([2, 0]), TinyImage())
    assert [value(sample) for sample in source] == [2, 0]
    assert source.labels.tolist() == [1, 0]


def test_a_label_column_by_name(pictures):
    source = open_source(pictures, TinyImage(), labels="note")
    assert source.classes == list("abcd")


def test_it_is_pickled(pictures):
    source = pickle.loads(pickle.dumps(open_source(pictures, TinyImage())))
    assert value(source[3]) == 3


def test_a_transform_of_the_user_is_respected(pictures):
    def brighter(batch):
        return {"image": [np.array(p) + 100 for p in batch["img"]], "label": batch["fine"]}

    source = open_source(pictures.with_transform(brighter), TinyImage())
    assert value(source[1]) == 101
    assert source.labels.tolist() == [0, 1, 1, 0]


def test_lists_of_numbers_become_arrays():
    data = datasets.Dataset.from_dict({"x": [[1.0, 2.0], [3.0, 4.0, 5.0]], "y": [0, 1]})
    source = open_source(data, TinyImage())
    np.testing.assert_array_equal(source[1], [3, 4, 5])
    assert source.labels.tolist() == [0, 1]


def test_plain_columns_are_a_row():
    data = datasets.Dataset.from_dict({"x": [1.0, 2.0], "colour": ["a", "b"], "label": [0, 1]})
    assert open_source(data, TinyRows())[1] == {"x": 2.0, "colour": "b"}


def test_splits_are_refused_by_name(pictures):
    splits = datasets.DatasetDict({"train": pictures, "test": pictures})
    with pytest.raises(BadInput, match=r"found the splits 'train', 'test'.*dataset\['train'\]"):
        open_source(splits, TinyImage())


def test_a_stream_of_theirs_is_read_with_a_warning(pictures, capsys):
    source = open_source(pictures.to_iterable_dataset(), TinyImage(), labels="fine")
    assert source.labels.tolist() == [0, 1, 1, 0]
    assert "resume is exact" in capsys.readouterr().err


def test_sounds_reach_the_adapter_undecoded():
    columns = {"audio": [{"bytes": png(9), "path": "a.wav"}], "label": [5]}
    sounds = datasets.Dataset.from_dict(columns).cast_column("audio", datasets.Audio())
    source = open_source(sounds, TinySound())
    assert value(source[0]) == 9
    assert source.labels.tolist() == [5]


def test_a_broken_picture_names_its_row():
    features = datasets.Features(image=datasets.Image())
    columns = {"image": [{"bytes": b"no picture", "path": None}]}
    source = open_source(datasets.Dataset.from_dict(columns, features=features), TinyImage())
    with pytest.raises(BadInput, match=r"^row 0: UnidentifiedImageError"):
        source[0]
