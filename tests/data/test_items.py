import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data import Subset as TorchSubset

from anymae.data.sources import open_source
from anymae.errors import BadInput, MissingExtra
from anymae.limits import LIMITS

from .tiny import Endless, Numbers, TinyImage, TinyNative, TinyRows, TinySound, png, value

IMAGE = TinyImage()
PICTURE = np.ones((2, 2))


def test_items_of_a_torch_data_set_are_split():
    source = open_source(Numbers(), IMAGE)
    assert [value(source[i]) for i in range(len(source))] == list(range(6))
    assert source.labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_opening_loads_nothing():
    data = Numbers()
    open_source(data, IMAGE).fingerprint()
    assert data.loaded == []


@pytest.mark.parametrize("name", ["targets", "labels"])
def test_labels_a_data_set_carries_are_read_without_loading(name):
    data = Numbers(classes=["a", "b", "c"], **{name: torch.tensor([2, 1, 0, 0, 1, 2])})
    source = open_source(data, IMAGE)
    assert source.labels.tolist() == [2, 1, 0, 0, 1, 2]
    assert source.classes == ["a", "b", "c"]
    assert data.loaded == []


def test_labels_are_found_through_a_torch_subset():
    data = Numbers(targets=[5, 4, 3, 2, 1, 0], classes=list("abcdef"))
    source = open_source(TorchSubset(data, [4, 0]), IMAGE)
    assert source.labels.tolist() == [1, 5]
    assert source.classes == list("abcdef")
    assert data.loaded == []


@pytest.mark.parametrize("carried", [{"target_transform": abs}, {}])
def test_carried_labels_that_may_not_be_those_of_the_items_are_left(carried):
    data = Numbers(targets=[9] * (6 if carried else 5), **carried)
    assert open_source(data, IMAGE).labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_tensor_data_sets_of_one_and_of_two():
    pictures = torch.arange(8.0).reshape(2, 2, 2)
    assert open_source(TensorDataset(pictures), IMAGE)[1].shape == (2, 2)
    assert open_source(TensorDataset(pictures), IMAGE).labels is None
    pair = open_source(TensorDataset(pictures, torch.tensor([3, 4])), IMAGE)
    assert pair.labels.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("item", "label"),
    [
        ({"image": PICTURE, "x": 0 * PICTURE, "label": 1}, 1),
        ({"input": PICTURE, "y": 2, "note": "text"}, 2),
        ({"img": PICTURE, "target": 3}, 3),
        ({"pixel_values": PICTURE, "mask": 0 * PICTURE}, None),
        ((PICTURE, 4), 4),
        (PICTURE, None),
        ((PICTURE,), None),
    ],
)
def test_what_of_an_item_is_sample_and_label(item, label):
    source = open_source([item, item], IMAGE)
    assert value(source[1]) == 1
    assert source.label(1) == label


def test_a_dictionary_that_could_mean_anything_is_refused_with_its_keys():
    source = open_source([{"left": PICTURE, "right": PICTURE, "label": 1}], IMAGE)
    with pytest.raises(BadInput) as caught:
        source[0]
    assert str(caught.value).startswith("sample 0: cannot tell which column is the sample")
    assert "'left', 'right', 'label'" in str(caught.value)
    assert "one named 'image'" in str(caught.value)


def test_a_dictionary_of_plain_values_is_a_row():
    rows = [{"x": 1.0, "y": "red", "label": 0}, {"x": None, "y": "blue", "label": 1}]
    source = open_source(rows, TinyRows())
    assert source[1] == {"x": None, "y": "blue"}
    assert source.labels.tolist() == [0, 1]


def test_a_named_label_column_leaves_the_row():
    rows = [{"x": 1.0, "y": "red"}, {"x": 2.0, "y": "blue"}]
    source = open_source(rows, TinyRows(), labels="y")
    assert source[1] == {"x": 2.0}
    assert source.classes == ["blue", "red"]
    with pytest.raises(BadInput, match="no such label column; found columns 'x', 'y'"):
        open_source(rows, TinyRows(), labels="z")[0]


def test_encoded_pictures_in_dictionaries_are_decoded_by_the_adapter():
    items = [{"image": png(7)}, {"image": {"bytes": png(8), "path": None}}]
    source = open_source(items, IMAGE)
    assert [value(sample) for sample in source] == [7, 8]


def test_pairs_are_samples_for_an_adapter_that_says_so():
    wave = np.ones(8)
    source = open_source([(wave, 8000), ((wave, 8000), 1)], TinySound())
    assert source[0][1] == 8000
    assert source[1][1] == 8000


def test_pictures_of_pillow_pass_as_they_are():
    picture = Image.new("RGB", (2, 2))
    assert open_source([picture], IMAGE)[0] is picture


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no such\nfrequency"), "sample 3: ValueError: no such frequency"),
        (KeyError("a"), "sample 3: KeyError: 'a'"),
        (IndexError("lost"), "sample 3: IndexError: lost"),
        (StopIteration(), "sample 3: StopIteration"),
        (FileNotFoundError(2, "No such file or directory"), "sample 3: cannot be read: No such"),
        (BadInput("odd", where="field a"), "sample 3, field a: odd"),
    ],
)
def test_an_error_inside_a_data_set_names_the_sample(error, said):
    source = open_source(Numbers(error=error), IMAGE)
    with pytest.raises(BadInput) as caught:
        source[3]
    assert str(caught.value).startswith(said)
    assert len(str(caught.value).splitlines()) == 1
    assert value(source[2]) == 2


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt(), MissingExtra("needs x")])
def test_errors_that_are_not_the_data_pass(error):
    with pytest.raises(type(error)) as caught:
        open_source(Numbers(error=error), IMAGE)[3]
    assert caught.value is error


def test_an_item_without_a_label_among_others_is_named():
    source = open_source([(PICTURE, 1), PICTURE], IMAGE)
    with pytest.raises(BadInput, match=r"^sample 1: no label, but sample 0 has one"):
        source.labels  # noqa: B018 - reading it is the test


# Streams


@pytest.mark.parametrize("endless", [False, True])
def test_a_stream_is_read_up_to_a_limit(endless, capsys):
    limits = LIMITS.model_copy(update={"stream_samples": 5})
    stream = Endless() if endless else ((np.full((2, 2), i), i) for i in range(5))
    if endless:
        with pytest.raises(BadInput) as caught:
            open_source(stream, IMAGE, limits=limits)
        assert "tests.data.tiny.Endless" in str(caught.value)
        assert "the stream is too long to read into memory" in str(caught.value)
        assert "Pass a map-style data set" in str(caught.value)
    else:
        source = open_source(stream, IMAGE, limits=limits)
        assert source.labels.tolist() == [0, 1, 2, 3, 4]
    warned = capsys.readouterr().err.splitlines()
    assert len(warned) == 1
    assert "resume is exact" in warned[0]


def test_a_stream_of_large_items_stops_by_size():
    limits = LIMITS.model_copy(update={"stream_bytes": 100})
    with pytest.raises(BadInput, match=r"expected up to .* 100 bytes"):
        open_source(Endless(), IMAGE, limits=limits)


def test_an_error_in_a_stream_names_the_item():
    def stream():
        yield PICTURE
        raise OSError("the network is gone")

    with pytest.raises(BadInput, match="generator, item 1: OSError: the network is gone"):
        open_source(stream(), IMAGE)


# What the adapter knows, and what nobody knows


def test_natives_come_first():
    source = open_source({"x": [PICTURE, PICTURE], "y": ["b", "a"]}, TinyNative())
    assert source.labels.tolist() == [1, 0]
    assert open_source({"x": [PICTURE]}, TinyNative()).labels is None
    paired = open_source(({"x": [PICTURE, PICTURE]}, [3, 4]), TinyNative())
    assert paired.labels.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        (None, "found builtins.NoneType"),
        (7, "found builtins.int"),
        (b"abc", "found builtins.bytes"),
        ({"a": 1}, "Pass (samples, labels) instead of a dictionary"),
        ({1, 2}, "found builtins.set"),
        (DataLoader([1]), "Pass its .dataset"),
        ([], "the data set is empty"),
        (["a.png", PICTURE], "sample 1: a list holds either paths or samples"),
    ],
)
def test_what_is_no_data_set_is_refused(dataset, said):
    with pytest.raises(BadInput) as caught:
        open_source(dataset, IMAGE)
    assert said in str(caught.value)


def test_a_table_is_refused_by_a_modality_that_does_not_know_it():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(BadInput, match=r"not a data set for the image adapter; found pandas"):
        open_source(pandas.DataFrame({"a": [1]}), IMAGE)
