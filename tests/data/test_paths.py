import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anymae.data.sources import open_source
from anymae.data.sources.patterns import expand
from anymae.errors import BadInput
from anymae.limits import LIMITS

from .tiny import TinyImage, refusal, value, write

IMAGE = TinyImage()


@pytest.fixture
def files(tmp_path, monkeypatch):
    for i, name in enumerate(["a/x-08.png", "a/x-09.png", "b/x-10.png", "b/.h.png", "b/note.txt"]):
        write(tmp_path / name, i)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(dataset):
    source = open_source(dataset, IMAGE)
    return [source.where(i) for i in range(len(source))]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*/x-*.png", ["a/x-08.png", "a/x-09.png", "b/x-10.png"]),
        ("**/*.png", ["a/x-08.png", "a/x-09.png", "b/x-10.png"]),
        ("**", ["a/x-08.png", "a/x-09.png", "b/x-10.png"]),
        ("b/*", ["b/x-10.png"]),
        ("./b/*", ["b/x-10.png"]),
        ("a/x-{08..09}.png", ["a/x-08.png", "a/x-09.png"]),
        ("a/x-{09..08}.png", ["a/x-09.png", "a/x-08.png"]),
        ("{b/x-10,a/x-0{9..8}}.png", ["b/x-10.png", "a/x-09.png", "a/x-08.png"]),
        ("{b,a}/*.png", ["b/x-10.png", "a/x-08.png", "a/x-09.png"]),
        ("{a,a}/*8.png", ["a/x-08.png"]),
        ("a/x-0[!8].png", ["a/x-09.png"]),
        ("a/x-?8.png", ["a/x-08.png"]),
        ("a/x-08.png", ["a/x-08.png"]),
    ],
)
def test_what_a_pattern_means(files, pattern, expected):
    assert found(pattern) == expected


def test_folders_below_a_pattern_are_labels(files):
    assert open_source("*/*.png", IMAGE).classes == ["a", "b"]
    assert open_source(f"{files}/{{a,b}}/*.png", IMAGE).labels.tolist() == [0, 0, 1]
    assert open_source("a/*.png", IMAGE).labels is None


def test_a_home_is_expanded(files, monkeypatch):
    monkeypatch.setenv("HOME", str(files))
    assert found("~/a") == [f"{files}/a/x-08.png", f"{files}/a/x-09.png"]


@pytest.mark.parametrize("name", ["odd[1].png", "{1..3}.png", "what?.png"])
def test_a_file_that_exists_is_no_pattern(files, name):
    write(files / "odd" / name, 7)
    assert found(f"odd/{name}") == [f"odd/{name}"]


def test_loops_of_links_are_survived(files):
    for name in ("loop", "again"):
        os.symlink(files, files / "a" / name)
    assert len(found("**/*.png")) == 3


def test_a_list_keeps_its_order(files):
    paths = [files / "b" / "x-10.png", str(files / "a" / "x-08.png")]
    source = open_source(paths, IMAGE)
    assert [value(sample) for sample in source] == [2, 0]
    assert source.labels is None
    assert open_source((paths, ["u", "t"]), IMAGE).labels.tolist() == [1, 0]
    assert open_source((files / "a", [3, 4]), IMAGE).labels.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ("a/x-8.png", "a/x-8.png: there is no such file or folder; found "),
        ("a/x-8.png", "Similar: 'x-08.png', 'x-09.png'"),
        ("nowhere/deep/x.png", " without 'nowhere'"),
        ("a/x-{07..09}.png", "a/x-07.png: there is no such file"),
        ("nowhere/*.png", "nowhere: there is no such file or folder"),
        ("a/*.jpg", "a/*.jpg: nothing here that the image adapter reads; found no files"),
        ("b/*.txt", "found 1 files: .txt (1); expected files ending in .png .jpg"),
        ("b/note.txt", "b/note.txt: nothing here that the image adapter reads"),
        (["a/x-08.png", "b/note.txt"], "b/note.txt: nothing here"),
        (["a/x-08.png", "a/none.png"], "a/none.png: there is no such file"),
        (["a/x-08.png", "a"], "a: a list of paths holds files; found a folder"),
        ("s3://bucket/x-{0..9}.tar", "addresses are not read"),
        ("https://example.org/x.png", "addresses are not read"),
        ("", "not a path; found ''"),
        ("a\0b", "not a path"),
        ("/dev/null", "/dev/null: not a regular file"),
        ("a**/x.png", "Invalid pattern"),
        ("{a,b}" * 21, "too many braces"),
        ("{1..99999999}.png", "the pattern means too many paths; found more than 10"),
    ],
)
def test_a_path_that_cannot_be_read_says_why(files, dataset, said):
    limits = LIMITS.model_copy(update={"pattern_files": 10})
    with pytest.raises(BadInput) as caught:
        open_source(dataset, IMAGE, limits=limits)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "command", ["pipe:touch evil", "|touch evil", "$(touch evil)", "`touch evil`"]
)
def test_nothing_in_a_path_runs(files, command):
    with pytest.raises(BadInput, match="no such file or folder"):
        open_source(command, IMAGE)
    assert not (files / "evil").exists()


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="ab{},.*?[]0129/", max_size=14))
def test_no_pattern_does_worse_than_bad_input(text):
    limits = LIMITS.model_copy(update={"pattern_files": 50})
    said = refusal(lambda: expand("/nonexistent/" + text, limits))
    assert len(said.splitlines()) <= 1
