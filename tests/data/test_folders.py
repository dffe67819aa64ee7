import os
import zipfile

import pytest

from anymae.data.sources import open_source
from anymae.errors import BadInput

from .tiny import TinyImage, TinyRows, value, write

IMAGE = TinyImage()


@pytest.fixture
def classes(tmp_path):
    """Two classes, sorted neither by creation nor by ending."""
    for i, name in enumerate(["dog/b.PNG", "cat/c.png", "dog/a.jpg", "cat/deep/d.png"]):
        write(tmp_path / name, i)
    (tmp_path / "dog" / "notes.txt").write_text("no picture")
    return tmp_path


def test_files_are_sorted_and_sub_folders_are_labels(classes):
    source = open_source(classes, IMAGE)
    places = [source.where(i).removeprefix(f"{classes}/") for i in range(len(source))]
    assert places == ["cat/c.png", "cat/deep/d.png", "dog/a.jpg", "dog/b.PNG"]
    assert [value(sample) for sample in source] == [1, 3, 2, 0]
    assert source.labels.tolist() == [0, 0, 1, 1]
    assert source.classes == ["cat", "dog"]


def test_a_file_beside_the_sub_folders_means_no_labels(classes):
    write(classes / "z.png")
    assert open_source(str(classes), IMAGE).labels is None


def test_hidden_files_are_skipped(classes):
    write(classes / ".thumbnails" / "x.png")
    write(classes / "cat" / "._c.png")
    assert len(open_source(classes, IMAGE)) == 4


def test_splits_are_labels_with_a_note(tmp_path, capsys):
    for name in ("train/cat/1.png", "test/dog/1.png"):
        write(tmp_path / name)
    assert open_source(tmp_path, IMAGE).classes == ["test", "train"]
    assert f"for one split and its classes pass {tmp_path}/test" in capsys.readouterr().err
    assert open_source(tmp_path / "train", IMAGE).classes == ["cat"]
    assert capsys.readouterr().err == ""


def test_links_to_folders_are_not_followed_and_said(classes, capsys):
    os.symlink(classes, classes / "dog" / "loop")
    os.symlink(classes / "cat", classes / "other")
    assert len(open_source(classes, IMAGE)) == 4
    note = f"note: links to folders in {classes} are not followed: dog/loop and 1 more\n"
    assert capsys.readouterr().err == note


def test_links_to_files_are_files_and_broken_ones_say_so(classes):
    os.symlink(classes / "cat" / "c.png", classes / "dog" / "copy.png")
    os.symlink("nowhere", classes / "dog" / "lost.png")
    os.symlink("self.png", classes / "dog" / "self.png")
    source = open_source(classes, IMAGE)
    places = [source.where(i) for i in range(len(source))]
    assert value(source[places.index(f"{classes}/dog/copy.png")]) == 1
    for name in ("lost.png", "self.png"):
        with pytest.raises(BadInput, match=f"^{classes}/dog/{name}: cannot be read: "):
            source[places.index(f"{classes}/dog/{name}")]


def test_pipes_are_no_files(classes):
    os.mkfifo(classes / "cat" / "pipe.png")
    assert len(open_source(classes, IMAGE)) == 4


def test_a_folder_without_a_match_says_what_is_there(tmp_path):
    for name in ("a.txt", "b.TXT", "c/d.md", "Makefile"):
        write(tmp_path / name)
    with pytest.raises(BadInput) as caught:
        open_source(tmp_path, IMAGE)
    assert str(caught.value) == (
        f"{tmp_path}: nothing here that the image adapter reads; "
        "found 4 files: .txt (2), (none) (1), .md (1); expected files ending in .png .jpg"
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("train-00.tar", "For shards pass "),
        ("train.parquet", "*.parquet"),
        (None, "found no files"),
    ],
)
def test_a_folder_without_a_match_says_what_to_do(tmp_path, name, said):
    if name:
        write(tmp_path / name)
    with pytest.raises(BadInput) as caught:
        open_source(tmp_path, IMAGE)
    assert said in str(caught.value)


def test_an_adapter_that_reads_no_files_says_so(classes):
    with pytest.raises(BadInput, match="expected arrays: it reads no files"):
        open_source(classes, TinyRows())


def test_an_unreadable_folder_is_named(classes, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("dog/"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(BadInput, match=f"^{classes}/dog: .*cannot be read: Permission denied$"):
        open_source(classes, IMAGE)


@pytest.mark.parametrize(
    "name", ["ünï çödé.png", "two  spaces.png", "<img src=x>.png", "a'\"$(b).png"]
)
def test_odd_names_are_read_and_named(tmp_path, name):
    write(tmp_path / "ok.png", 5)
    (tmp_path / name).write_bytes(b"")
    source = open_source(tmp_path, IMAGE)
    index = next(i for i in range(2) if source.where(i) == f"{tmp_path}/{name}")
    with pytest.raises(BadInput) as caught:
        source[index]
    assert caught.value.where == f"{tmp_path}/{name}, header"
    assert value(source[1 - index]) == 5


def test_a_name_that_is_no_text_can_be_printed(tmp_path):
    (tmp_path / os.fsdecode(b"bad\xff.png")).write_bytes(b"")
    source = open_source(tmp_path, IMAGE)
    with pytest.raises(BadInput) as caught:
        source[0]
    str(caught.value).encode()
    assert caught.value.where == f"{tmp_path}/bad\N{REPLACEMENT CHARACTER}.png, header"


@pytest.mark.parametrize("damage", [b"text", b"\x89PNG\r\n\x1a\n", b"\0" * 99])
def test_a_damaged_file_is_named_once(tmp_path, damage):
    (tmp_path / "a.png").write_bytes(damage)
    with pytest.raises(BadInput) as caught:
        open_source(tmp_path, IMAGE)[0]
    assert str(caught.value).startswith(f"{tmp_path}/a.png: ")
    assert str(caught.value).count("a.png") == 1


def test_a_file_that_went_away_is_named(classes):
    source = open_source(classes, IMAGE)
    (classes / "cat" / "c.png").unlink()
    with pytest.raises(BadInput, match=r"c.png: cannot be read: No such file or directory"):
        source[0]


def test_the_fingerprint_is_that_of_the_names_wherever_they_lie(classes, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    for i, name in enumerate(["dog/b.PNG", "cat/c.png", "dog/a.jpg", "cat/deep/d.png"]):
        write(other / name, i)
    before = open_source(classes, IMAGE).fingerprint()
    assert open_source(other, IMAGE).fingerprint() == before
    write(other / "dog" / "new.png")
    assert open_source(other, IMAGE).fingerprint() != before


def test_a_real_folder(real_data, tmp_path, capsys):
    archive = real_data / "cifar10" / "cifar10_folder_sample.zip"
    if not archive.exists():
        pytest.skip(f"{archive} is not here")
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path)
    train = open_source(tmp_path / "train", IMAGE)
    assert len(train) == 1500
    assert len(train.classes) == 10
    assert train.classes[train.label(0)] == "airplane"
    assert train[7].shape == (32, 32, 3)
    assert len(open_source(tmp_path, IMAGE)) == 2000
    assert "test, train as labels" in capsys.readouterr().err
    with pytest.raises(BadInput, match="Decompress it"):
        open_source(archive, IMAGE)
