import tarfile

import pytest

from anymae.data.sources import open_source
from anymae.errors import BadInput
from anymae.limits import LIMITS

from .tiny import TinyImage, png, shard, tar, value

IMAGE = TinyImage()
FORMATS = [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT]


def test_samples_and_labels_of_several_shards(tmp_path):
    shard(tmp_path / "x-00.tar", 0)
    shard(tmp_path / "x-01.tar", 4)
    source = open_source(f"{tmp_path}/x-{{00..01}}.tar", IMAGE)
    assert [value(source[i]) for i in (7, 0, 3, 4)] == [7, 0, 3, 4]
    assert source.labels.tolist() == [0, 1] * 4
    assert source.where(5) == f"{tmp_path}/x-01.tar[0005.png]"
    assert len(open_source(tmp_path / "x-00.tar", IMAGE)) == 4
    assert len(open_source([tmp_path / "x-01.tar"], IMAGE)) == 4


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "name", ["a.png", "./sub/a.png", "ünï <img> çödé.png", "d/" * 60 + "a.png", "A.left.PNG"]
)
def test_names_in_every_format(tmp_path, form, name):
    path = tar(tmp_path / "x.tar", [(name, png(3)), ("b.png", png(4))], form)
    source = open_source(path, IMAGE)
    assert [value(sample) for sample in source] == [3, 4]
    assert source.where(0) == f"{path}[{name.removeprefix('./')}]"
    assert source.labels is None


def test_long_names_in_every_format(tmp_path):
    for form in FORMATS[:2]:
        path = tar(tmp_path / "x.tar", [("n" * 300 + ".png", png(3))], form)
        assert open_source(path, IMAGE).where(0) == f"{path}[{'n' * 300}.png]"


@pytest.mark.parametrize(
    ("ending", "content", "label"),
    [
        ("cls", b"3", 3),
        ("cls", b" 3\n", 3),
        ("json", b"7", 7),
        ("json", b'{"label": 2, "note": "x"}', 2),
        ("json", b'{"cls": 5}', 5),
        ("cls", b"0.5", 0.5),
    ],
)
def test_a_label_beside_the_sample(tmp_path, ending, content, label):
    path = tar(tmp_path / "x.tar", [("a.png", png(0)), (f"a.{ending}", content)])
    assert open_source(path, IMAGE).labels.tolist() == [label]


def test_names_of_classes_as_labels(tmp_path):
    members = [("a.cls", b"dog"), ("a.png", png(0)), ("b.cls", b"cat"), ("b.png", png(1))]
    source = open_source(tar(tmp_path / "x.tar", members), IMAGE)
    assert source.classes == ["cat", "dog"]
    assert source.labels.tolist() == [1, 0]


def test_other_members_are_left_alone(tmp_path):
    evil = b"cos\nsystem\n(S'touch evil'\ntR."
    members = [
        ("README.md", b"text"),
        ("._a.png", b"hidden"),
        *((f"a.{ending}", evil) for ending in ("pyd", "pkl", "pickle", "pth", "txt")),
        ("a.png", png(6)),
    ]
    source = open_source(tar(tmp_path / "x.tar", members), IMAGE)
    assert len(source) == 1
    assert value(source[0]) == 6


def test_directories_are_passed_over(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.png").write_bytes(png(2))
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(tmp_path / "d", "d")
    assert value(open_source(tmp_path / "x.tar", IMAGE)[0]) == 2


# Reading


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", ", header: the picture is empty"), (b"text", ": UnidentifiedImageError")],
)
def test_a_bad_member_is_named_once(tmp_path, data, said):
    path = tar(tmp_path / "x.tar", [("a.png", data)])
    with pytest.raises(BadInput) as caught:
        open_source(path, IMAGE)[0]
    assert str(caught.value).startswith(f"{path}[a.png]{said}")
    assert str(caught.value).count("a.png") == 1


def test_a_shard_that_changed_is_noticed(tmp_path):
    path = shard(tmp_path / "x.tar")
    source = open_source(path, IMAGE)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(BadInput, match=r"x.tar\[0003.png\]: the shard is shorter than when"):
        source[3]


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (("a.json", b'{"a": 1}'), "x.tar[a.png]: no label in the JSON; found keys ['a']"),
        (("a.json", b"[" * 200_000), "x.tar[a.png]: the label is nested too deeply"),
        (("a.cls", b"\xff"), "x.tar[a.png]: UnicodeDecodeError"),
        (("a.cls", b"1" * 2000), "x.tar[a.png]: the label is too large; found 2000 bytes"),
        (("b.cls", b"1"), "x.tar[a.png]: no label, but other samples have one"),
    ],
)
def test_a_bad_label_names_its_sample(tmp_path, label, said):
    members = [("a.png", png(0)), label]
    if label[0].startswith("b"):
        members.append(("b.png", png(1)))
    path = tar(tmp_path / "x.tar", members)
    large = b"[" in label[1]
    limits = LIMITS if large else LIMITS.model_copy(update={"label_bytes": 1000})
    source = open_source(path, IMAGE, limits=limits)
    assert value(source[0]) == 0
    with pytest.raises(BadInput) as caught:
        source.labels  # noqa: B018 - reading it is the test
    assert said in str(caught.value)
