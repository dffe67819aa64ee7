"""Damaged and hostile tar shards: every byte is accounted for, and nothing gets out."""

import gzip
import json
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anymae.data.sources import open_source
from anymae.errors import BadInput
from anymae.limits import LIMITS

from .tiny import TinyImage, png, refusal, shard, tar, value

IMAGE = TinyImage()
FORMATS = [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]
BLOCK = tarfile.BLOCKSIZE


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
    with pytest.raises(BadInput, match=r"x.tar, byte 0: damaged tar header"):
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
    with pytest.raises(BadInput, match=r"byte 0: member 'a.png' is no file; found a link or a dev"):
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


# Any damage, any name

MEMBERS = [("a.json", json.dumps({"label": 1}).encode()), ("a.png", png(1)), ("n" * 120, b"x")]


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_no_damage_does_worse_than_bad_input(tmp_path, data):
    path = tar(tmp_path / "x.tar", MEMBERS, data.draw(st.sampled_from(FORMATS)))
    good = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(good[: data.draw(st.integers(0, len(good)))])

    def read():
        source = open_source(path, IMAGE)
        return source[0], source.labels

    said = refusal(read)
    assert not said or "x.tar" in said
    assert len(said.splitlines()) <= 1


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
    st.sampled_from(FORMATS),
)
def test_any_name_that_tarfile_writes_is_found_again(tmp_path, names, form):
    path = tar(tmp_path / "x.tar", [(f"{name}.png", png(i)) for i, name in enumerate(names)], form)
    source = open_source(path, IMAGE)
    assert [value(sample) for sample in source] == list(range(len(names)))
    assert [source.where(i) for i in range(len(names))] == [f"{path}[{n}.png]" for n in names]
