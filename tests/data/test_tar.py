import gzip
import json
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anymae.data.limits import LIMITS
from anymae.data.sources import open_source
from anymae.errors import BadInput

from .tiny import TinyImage, png, shard, tar, value

IMAGE = TinyImage()
FORMATS = [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT]
BLOCK = 512


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


# Nothing vanishes


@pytest.mark.parametrize("where", range(4))
def test_a_damaged_header_is_an_error_with_its_byte(tmp_path, where):
    path = shard(tmp_path / "x.tar")
    with tarfile.open(path) as archive:
        byte = archive.getmembers()[2 * where].offset
    data = bytearray(path.read_bytes())
    data[byte + 3] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(BadInput) as caught:
        open_source(path, IMAGE)
    said = str(caught.value)
    assert said.startswith(f"{path}, byte {byte}: damaged tar header; found bad checksum")


def test_a_header_of_zeros_is_not_the_end(tmp_path):
    path = shard(tmp_path / "x.tar")
    data = path.read_bytes()
    path.write_bytes(data[: 4 * BLOCK] + bytes(BLOCK) + data[5 * BLOCK :])
    with pytest.raises(BadInput, match="data after the end marker; found a marker at byte 2048"):
        open_source(path, IMAGE)


def test_shards_joined_by_cat_are_refused(tmp_path):
    path = shard(tmp_path / "x.tar")
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(BadInput, match=r"x.tar, byte 10240: data after the end marker"):
        open_source(path, IMAGE)


def test_a_cut_shard_is_refused_wherever_it_is_cut(tmp_path):
    path = shard(tmp_path / "x.tar", n=2)
    data = path.read_bytes()
    end = len(data.rstrip(b"\0")) // BLOCK * BLOCK + BLOCK
    for length in range(0, end + 2 * BLOCK, 100):
        path.write_bytes(data[:length])
        with pytest.raises(BadInput, match=rf"^{path}, byte \d+: .*(cut|damaged)"):
            open_source(path, IMAGE)
    path.write_bytes(data[: end + 2 * BLOCK])
    assert len(open_source(path, IMAGE)) == 2


def test_text_is_no_shard(tmp_path):
    (tmp_path / "x.tar").write_text("text " * 500)
    with pytest.raises(BadInput, match="x.tar, byte 0: damaged tar header"):
        open_source(tmp_path / "x.tar", IMAGE)


def test_keys_must_be_adjacent(tmp_path):
    members = [("a.png", png(0)), ("b.png", png(1)), ("a.cls", b"1")]
    with pytest.raises(BadInput) as caught:
        open_source(tar(tmp_path / "x.tar", members), IMAGE)
    assert str(caught.value) == (
        f"{tmp_path}/x.tar, byte 2048: the members of one key are not beside one another; "
        "found key 'a' again. Sort the members by name before writing the shard."
    )


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("a.png", png(0)), ("a.jpg", png(0))], "found key 'a' with 'a.png', 'a.jpg'"),
        ([("a.png", png(0)), ("b.cls", b"1")], "found key 'b' with 'b.cls'; expected one of .png"),
        ([("a.mp3", b"x")], "found 1 files: .mp3 (1); expected files ending in .png .jpg"),
        ([], "x.tar: nothing here that the image adapter reads; found no files"),
    ],
)
def test_each_key_has_one_sample(tmp_path, members, said):
    with pytest.raises(BadInput) as caught:
        open_source(tar(tmp_path / "x.tar", members), IMAGE)
    assert said in str(caught.value)


# Nothing gets out


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "/x.png", "./../x.png"])
def test_members_outside_the_archive_are_refused(tmp_path, name):
    with pytest.raises(BadInput) as caught:
        open_source(tar(tmp_path / "x.tar", [("a.png", png(0)), (name, png(0))]), IMAGE)
    assert f"x.tar, byte {1024}: a member must lie inside the archive" in str(caught.value)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        info = tarfile.TarInfo("a.png")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(BadInput, match="byte 0: member 'a.png' is no file; found a link or a dev"):
        open_source(tmp_path / "x.tar", IMAGE)


@pytest.mark.parametrize("size", [2**40, 2**60, -1])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_sizes_beyond_the_file_are_refused(tmp_path, size, kind):
    info = tarfile.TarInfo("a.png")
    info.size, info.type = size, kind
    (tmp_path / "x.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(4 * BLOCK))
    with pytest.raises(BadInput, match=f"byte 0: the member is cut; found {size} bytes claimed"):
        open_source(tmp_path / "x.tar", IMAGE)


def test_a_large_extended_header_is_refused(tmp_path):
    limits = LIMITS.model_copy(update={"tar_header_bytes": 100})
    path = tar(tmp_path / "x.tar", [("n" * 300 + ".png", png(3))])
    with pytest.raises(BadInput, match="byte 0: extended header too large; found 314 bytes"):
        open_source(path, IMAGE, limits=limits)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (b"13 GNU.sparse.major=1\n", "damaged extended header"),
        (b"22 GNU.sparse.major=1\n", "extended header not read; found GNU.sparse.major=1"),
        (b"15 size=banana\n", "extended header not read; found size=banana"),
        (b"99999 path=a\n", "damaged extended header"),
        (b"0 path=a\n", "damaged extended header"),
        (b"path=a\n", "damaged extended header; found no record at its byte 0"),
    ],
)
def test_odd_extended_headers_are_refused(tmp_path, record, said):
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, len(record)
    archive = info.tobuf() + record.ljust(BLOCK, b"\0") + bytes(2 * BLOCK)
    (tmp_path / "x.tar").write_bytes(archive)
    with pytest.raises(BadInput) as caught:
        open_source(tmp_path / "x.tar", IMAGE)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["x.tar.gz", "x.tgz", "x.zip"])
def test_compressed_archives_are_to_be_decompressed(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(shard(tmp_path / "x.tar").read_bytes()))
    with pytest.raises(BadInput, match="Decompress it"):
        open_source(tmp_path / name, IMAGE)


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


MEMBERS = [("a.json", json.dumps({"label": 1}).encode()), ("a.png", png(1)), ("n" * 120, b"x")]


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_no_damage_does_worse_than_bad_input(tmp_path, data):
    path = tar(tmp_path / "x.tar", MEMBERS, data.draw(st.sampled_from(FORMATS[:2])))
    good = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(good[: data.draw(st.integers(0, len(good)))])
    try:
        source = open_source(path, IMAGE)
        assert len(source) == 1
        source[0]
        source.labels  # noqa: B018 - reading it is the test
    except BadInput as error:
        assert "x.tar" in str(error) or "dataset" in str(error)
        assert len(str(error).splitlines()) == 1


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.text(st.characters(exclude_characters="/.\0", codec="utf-8"), min_size=1, max_size=50),
        min_size=1,
        max_size=5,
        unique=True,
    ),
    st.sampled_from(FORMATS[:2]),
)
def test_any_name_that_tarfile_writes_is_found_again(tmp_path, names, form):
    path = tar(tmp_path / "x.tar", [(f"{name}.png", png(i)) for i, name in enumerate(names)], form)
    source = open_source(path, IMAGE)
    assert [value(sample) for sample in source] == list(range(len(names)))
    assert [source.where(i) for i in range(len(names))] == [f"{path}[{n}.png]" for n in names]
