"""Files that are not what they say, for every modality that reads files, and good ones beside."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .formats import (
    TEXT,
    avi,
    cloud,
    csv,
    cut,
    flac,
    graph,
    lines,
    mp4,
    npy,
    npy_claiming,
    npz,
    obj,
    off,
    pcd,
    picture,
    ply,
    ply_binary,
    png,
    png_claiming,
    sound_only,
    table,
    video,
    wav,
    wav_claiming,
    wav_of,
    with_value,
)


class BadFile(NamedTuple):
    """A file whose ``name`` ends as the reader expects. It is refused with its name and the words
    ``said``; where there are none it is odd but sound, and must train."""

    name: str
    content: Callable[[], bytes]
    said: tuple[str, ...] = ()


GOOD: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "image": (".png", png),
    "video": (".avi", avi),
    "audio": (".wav", wav),
    "pointcloud": (".xyz", lambda number: lines(cloud(number)).encode()),
    "graph": (".npz", graph),
    "timeseries": (".csv", csv),
}


def write_good(folder: Path, modality: str, count: int = 10) -> Path:
    """A folder of sound files."""
    ending, make = GOOD[modality]
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"good-{number:02d}{ending}").write_bytes(make(number))
    return folder


nan, inf = float("nan"), float("inf")
DECODED = ("cannot be decoded",)
CLAIMED = ("claims what is not in the file", "expected at most")

BAD: dict[str, list[BadFile]] = {
    "image": [
        BadFile("empty.png", bytes, DECODED),
        BadFile("text.png", lambda: TEXT, DECODED),
        BadFile("cut-in-header.png", lambda: png()[:20], DECODED),
        BadFile("cut.png", lambda: cut(png()), ("truncated",)),
        BadFile("wrong-checksum.png", lambda: png()[:30] + b"xxx" + png()[33:], DECODED),
        BadFile("zero-width.png", lambda: png_claiming(0, 16), DECODED),
        BadFile("zero-height.png", lambda: png_claiming(16, 0), DECODED),
        BadFile("wider-than-it-is.png", lambda: png_claiming(32, 16), DECODED),
        BadFile("cut.jpg", lambda: cut(picture("JPEG", 0)), DECODED),
        BadFile("cut.webp", lambda: cut(picture("WEBP", 0)), DECODED),
        BadFile("cut.gif", lambda: cut(picture("GIF", 0, "L")), DECODED),
        BadFile("cut.bmp", lambda: cut(picture("BMP", 0)), DECODED),
        BadFile("text.bmp", lambda: TEXT, DECODED),
        BadFile("cut.tif", lambda: cut(picture("TIFF", 0)), ("TIFF",)),
        BadFile("text.tif", lambda: TEXT, ("not a TIFF file",)),
        BadFile("text.npy", lambda: TEXT, ("the npy header cannot be read",)),
        BadFile("pickle.npy", lambda: npy(np.array([[None, 1]], object)), ("they are pickles",)),
        BadFile("complex.npy", lambda: npy(np.ones((8, 8), complex)), ("complex128",)),
        BadFile("words.npy", lambda: npy(np.array([["a", "b"]])), ("found ndarray of <U1",)),
        BadFile("dates.npy", lambda: npy(np.zeros((8, 8), "M8[s]")), ("datetime64",)),
        BadFile("vector.npy", lambda: npy(np.ones(8)), ("shape (8,)", "(H, W)")),
        BadFile("rank-4.npy", lambda: npy(np.ones((2, 2, 2, 2))), ("shape (2, 2, 2, 2)",)),
        BadFile("nothing.npy", lambda: npy(np.ones((0, 8))), ("shape (0, 8)",)),
        BadFile("five-bands.npy", lambda: npy(np.ones((8, 8, 5))), ("found 5; expected 3",)),
        BadFile(
            "nan.npy",
            lambda: npy(with_value(np.ones((8, 8, 3)), (2, 5, 1), nan)),
            ("row 2, column 5, channel 1: nan",),
        ),
        BadFile(
            "infinite.npy",
            lambda: npy(with_value(np.ones((8, 8, 3)), (2, 5, 1), -inf)),
            ("row 2, column 5, channel 1: -inf",),
        ),
        BadFile("1e300.npy", lambda: npy(np.full((8, 8, 3), 1e300)), ("row 0, column 0", "1e+30")),
        BadFile("claims.npy", lambda: npy_claiming("(1000000, 1000000)"), CLAIMED),
        BadFile("negative.npy", lambda: npy_claiming("(-8, 8)"), CLAIMED),
        BadFile("cut.npy", lambda: cut(npy(np.ones((8, 8, 3)))), CLAIMED),
        BadFile("half-a-header.npy", lambda: npy_claiming("(8, 8"), ("the npy header",)),
        BadFile("really-a-gif.jpg", lambda: picture("GIF", 0, "L")),
        BadFile("grey.png", lambda: png(0, "L")),
        BadFile("alpha.png", lambda: png(0, "RGBA")),
        BadFile("cmyk.jpg", lambda: picture("JPEG", 0, "CMYK")),
        BadFile("one-pixel.png", lambda: png(0, "RGB", (1, 1))),
    ],
    "video": [
        BadFile("empty.mp4", bytes, DECODED),
        BadFile("text.avi", lambda: TEXT, DECODED),
        BadFile("text.gif", lambda: TEXT, DECODED),
        BadFile("cut-in-header.avi", lambda: avi()[:60], DECODED),
        BadFile("cut.avi", lambda: cut(avi()), ("damaged frame",)),
        BadFile("cut.mp4", lambda: cut(mp4()), DECODED),
        BadFile("zeroed.mp4", lambda: mp4()[:400] + bytes(len(mp4()) - 400), DECODED),
        BadFile("cut.gif", lambda: cut(picture("GIF", 0, "L")), DECODED),
        BadFile("sound.mp4", sound_only, ("no video stream",)),
        BadFile("playlist.mp4", lambda: b"#EXTM3U\n#EXTINF:9,\n/etc/passwd\n", DECODED),
        BadFile("concat.mkv", lambda: b"ffconcat version 1.0\nfile /etc/passwd\n", DECODED),
        BadFile("one-frame.avi", lambda: video("avi", "mpeg4", 1)),
        BadFile("two-pixels.avi", lambda: video("avi", "mpeg4", 8, (2, 2))),
        BadFile("still.gif", lambda: picture("GIF", 0, "L")),
    ],
    "audio": [
        BadFile("empty.wav", bytes, DECODED),
        BadFile("text.wav", lambda: TEXT, DECODED),
        BadFile("text.mp3", lambda: TEXT, DECODED),
        BadFile("text.ogg", lambda: TEXT, DECODED),
        BadFile("cut-in-header.wav", lambda: wav()[:30], DECODED),
        BadFile("cut.flac", lambda: cut(flac()), DECODED),
        BadFile("cut-in-header.flac", lambda: flac()[:20], DECODED),
        BadFile("no-samples.wav", lambda: wav(samples=0), ("the recording is empty",)),
        BadFile("one-sample.wav", lambda: wav(samples=1), ("shorter than one frame",)),
        BadFile("zero-channels.wav", lambda: wav_claiming(22, bytes(2)), ("Channel count",)),
        BadFile("zero-rate.wav", lambda: wav_claiming(24, bytes(4)), DECODED),
        BadFile("65535-channels.wav", lambda: wav_claiming(22, b"\xff\xff"), ("channels",)),
        BadFile("2-gigahertz.wav", lambda: wav_claiming(24, b"\xff\xff\xff\x7f"), ("2147483647",)),
        BadFile("1-hertz.wav", lambda: wav(rate=1), ("not a sample rate; found 1",)),
        BadFile("unknown-format.wav", lambda: wav_claiming(20, b"\x99\x99"), DECODED),
        BadFile(
            "nan.wav",
            lambda: wav_of(with_value(np.zeros(4000), (17,), nan)),
            ("channel 0, sample 17: nan",),
        ),
        BadFile(
            "infinite.wav",
            lambda: wav_of(with_value(np.zeros(4000), (17,), inf)),
            ("channel 0, sample 17: inf",),
        ),
        BadFile("1e30.wav", lambda: wav_of(np.full(4000, 1e30), "DOUBLE"), ("sample 0", "1e+09")),
        BadFile("cut.wav", lambda: cut(wav())),  # libsndfile gives what is there
        BadFile("claims-more.wav", lambda: wav_claiming(40, b"\xff\xff\xff\x7f")),
        BadFile("stereo.wav", lambda: wav(channels=2)),
        BadFile("silence.wav", lambda: wav_of(np.zeros(4000))),
        BadFile("prime-rate.wav", lambda: wav(rate=7919)),
    ],
    "pointcloud": [
        BadFile("empty.xyz", bytes, ("no point",)),
        BadFile("text.xyz", lambda: TEXT, ("'This'", "row 0, column 1")),
        BadFile("ragged.xyz", lambda: b"1 2 3\n4 5\n", ("from 3 to 2 at row 2",)),
        BadFile("nan.xyz", lambda: b"1 2 3\nnan 5 6\n", ("point 1 is [nan, 5.0, 6.0]",)),
        BadFile("infinite.xyz", lambda: b"1 2 3\n4 inf 6\n", ("point 1 is [4.0, inf, 6.0]",)),
        BadFile("1e300.xyz", lambda: b"1 2 3\n1e300 2 3\n", ("point 1 is [1e+300",)),
        BadFile("two-columns.xyz", lambda: b"1 2\n3 4\n", ("shape (2, 2)",)),
        BadFile("five-columns.xyz", lambda: b"1 2 3 4 5\n" * 9, ("points of 5 numbers",)),
        BadFile("nul.xyz", lambda: b"1 2 3\n4 \0 6\n", ("row 1, column 2",)),
        BadFile("long-field.xyz", lambda: b"1 2 " + b"3" * 300_000 + b"\n", ("not finite",)),
        BadFile("only-comments.xyz", lambda: b"# nothing\n", ("no point",)),
        BadFile("empty.ply", bytes, ("no complete ply header",)),
        BadFile("text.ply", lambda: TEXT, ("no complete ply header",)),
        BadFile("cut-in-header.ply", lambda: ply()[:60], ("no complete ply header",)),
        BadFile("cut.ply", lambda: cut(ply()), ("expected 120 numbers",)),
        BadFile("two-billion.ply", lambda: ply(claimed=2 * 10**9), ("6,000,000,000 numbers",)),
        BadFile("two-billion-2.ply", lambda: ply_binary(2 * 10**9), ("24,000,000,000 bytes",)),
        BadFile("cut-binary.ply", lambda: cut(ply_binary()), ("expected 480 bytes",)),
        BadFile("no-points.ply", lambda: ply(0), ("no point",)),
        BadFile("negative.ply", lambda: ply(claimed=-5), ("element vertex -5",)),
        BadFile("words.ply", lambda: ply(values="1 2 three\n" * 40), ("word 2", "'three'")),
        BadFile("infinite.ply", lambda: ply(values="1 2 inf\n" * 40), ("word 2", "'inf'")),
        BadFile("nan.ply", lambda: ply(values="nan 1 2\n" * 40), ("point 0 is [nan",)),
        BadFile("empty.pcd", bytes, ("no complete pcd header",)),
        BadFile("text.pcd", lambda: TEXT, ("no complete pcd header",)),
        BadFile("two-billion.pcd", lambda: pcd(2 * 10**9), ("6,000,000,000 numbers",)),
        BadFile("two-billion-2.pcd", lambda: pcd(2 * 10**9, "binary"), ("24,000,000,000 bytes",)),
        BadFile(
            "two-billion-3.pcd",
            lambda: pcd(2 * 10**9, "binary_compressed"),
            ("2,000,000,000 points",),
        ),
        BadFile("not-compressed.pcd", lambda: pcd(40, "binary_compressed"), DECODED),
        BadFile("wrong-sizes.pcd", lambda: pcd(size="9 9 9", form="binary"), ("1,080 bytes",)),
        BadFile("cut.pcd", lambda: cut(pcd()), ("expected 120 numbers",)),
        BadFile(
            "ragged.pcd",
            lambda: b"DATA ascii\n1 2 ".join(pcd().split(b"DATA ascii\n")),
            ("line 0", "found 5 numbers"),
        ),
        BadFile("empty.off", bytes, ("no complete off header",)),
        BadFile("two-billion.off", lambda: off(2 * 10**9), ("6,000,000,008 numbers",)),
        BadFile(
            "no-such-corner.off", lambda: off(faces="3 0 1 9\n3 0 2 3\n"), ("face 0", "3 0 1 9")
        ),
        BadFile("no-area.off", lambda: off(faces="3 0 0 0\n3 1 1 1\n"), ("area",)),
        BadFile("cut.off", lambda: cut(off()), ("ends before",)),
        BadFile("text.obj", lambda: TEXT, ("no point",)),
        BadFile("no-faces.obj", lambda: obj(""), ("the mesh has no faces",)),
        BadFile("no-such-corner.obj", lambda: obj("f 1 2 900\n"), DECODED),
        BadFile("text.npy", lambda: TEXT, ("the npy header cannot be read",)),
        BadFile("pickle.npy", lambda: npy(np.array([[None, 1, 2]], object)), ("pickles",)),
        BadFile("complex.npy", lambda: npy(np.ones((8, 3), complex)), ("complex128",)),
        BadFile("vector.npy", lambda: npy(np.ones(8)), ("shape (8,)",)),
        BadFile("nothing.npy", lambda: npy(np.ones((0, 3))), ("shape (0, 3)",)),
        BadFile("two-billion.npy", lambda: npy_claiming("(2000000000, 3)"), CLAIMED),
        BadFile("odd.bin", lambda: bytes(17), ("found 17 bytes",)),
        BadFile("empty.bin", bytes, ("found 0 bytes",)),
        BadFile("one-point.xyz", lambda: b"1 2 3\n"),
        BadFile("equal-points.xyz", lambda: b"1 2 3\n" * 40),
        BadFile("whole.ply", ply),
        BadFile("whole.pcd", pcd),
        BadFile("whole.off", off),
        BadFile("whole.obj", lambda: b"mtllib /etc/passwd\n" + obj()),
    ],
    "graph": [
        BadFile("empty.npz", bytes, ("not a readable .npz",)),
        BadFile("text.npz", lambda: TEXT, ("not a readable .npz",)),
        BadFile("cut.npz", lambda: cut(graph()), ("not a readable .npz",)),
        BadFile("no-edges.npz", lambda: npz({"x": np.ones((3, 2))}), ("arrays 'x'", "'edges'")),
        BadFile(
            "no-such-node.npz",
            lambda: graph(edges=np.array([[0, 1], [1, 99]])),
            ("edge 1", "1 to 99", "nodes 0 to 5"),
        ),
        BadFile("minus-one.npz", lambda: graph(edges=np.array([[0, -1], [1, 0]])), ("-1 to 0",)),
        BadFile("no-nodes.npz", lambda: npz({"edges": np.zeros((2, 0), int)}), ("0 nodes",)),
        BadFile(
            "nan.npz",
            lambda: graph(x=with_value(np.ones((6, 2)), (3, 1), nan)),
            ("node 3, column 1",),
        ),
        BadFile(
            "infinite.npz",
            lambda: graph(x=with_value(np.ones((6, 2)), (3, 1), inf)),
            ("node 3, column 1", "found inf"),
        ),
        BadFile("1e300.npz", lambda: graph(x=np.full((6, 2), 1e300)), ("node 0, column 0",)),
        BadFile("rank-3.npz", lambda: graph(x=np.ones((6, 2, 2))), ("shape (6, 2, 2)",)),
        BadFile("triples.npz", lambda: graph(edges=np.zeros((3, 4), int)), ("shape (3, 4)",)),
        BadFile("halves.npz", lambda: graph(edges=np.array([[0.5], [1.0]])), ("integers",)),
        BadFile("pickle.npz", lambda: graph(x=np.array([[None] * 2] * 6, object)), ("Object",)),
        BadFile("complex.npz", lambda: graph(x=np.ones((6, 2), complex)), ("complex128",)),
        BadFile("five-columns.npz", lambda: graph(x=np.ones((6, 5))), ("found 5; expected 2",)),
        BadFile(
            "other-edges.npz", lambda: graph(edge_values=np.ones((3, 1))), ("3 values for 12",)
        ),
        BadFile(
            "2-to-the-40.npz",
            lambda: npz({"edges": np.zeros((2, 0), int), "num_nodes": np.array(2**40)}),
            ("1,099,511,627,776",),
        ),
        BadFile("far-node.npz", lambda: npz({"edges": np.array([[0], [2**40]])}), ("too many",)),
        BadFile(
            "words-for-number.npz",
            lambda: npz({"edges": np.zeros((2, 0), int), "num_nodes": np.array("many")}),
            ("num_nodes: must be a whole number",),
        ),
        BadFile(
            "minus-four.npz",
            lambda: npz({"edges": np.zeros((2, 0), int), "num_nodes": np.array(-4)}),
            ("-4 nodes",),
        ),
        BadFile(
            "claims.npz", lambda: graph(x=npy_claiming("(1000000000, 1)")), ("not a readable",)
        ),
        BadFile("negative.npz", lambda: graph(x=npy_claiming("(-6, 2)")), ("negative dimensions",)),
        BadFile("text-inside.npz", lambda: graph(x=TEXT), ("must be real numbers",)),
        BadFile(
            "one-node.npz", lambda: npz({"x": np.ones((1, 2)), "edges": np.zeros((2, 0), int)})
        ),
    ],
    "timeseries": [
        BadFile("empty.csv", bytes, ("cannot be read as a table",)),
        BadFile("text.csv", lambda: TEXT, ("'This is a letter'", "step 0")),
        BadFile("no-rows.csv", lambda: b"a,b\n", ("no rows",)),
        BadFile("no-names.csv", lambda: csv(head="1.0,2.0"), ("line 1", "names")),
        BadFile("long-row.csv", lambda: csv(more="1,2,3\n"), ("Expected 2 fields in line 42",)),
        BadFile("short-row.csv", lambda: csv(more="1\n"), ("line 42", "1 cells; expected 2")),
        BadFile("word.csv", lambda: csv(more="1,two\n"), ("column 'b', step 40", "'two'")),
        BadFile("twins.csv", lambda: csv(head="a,a"), ("'a' twice",)),
        BadFile("nul.csv", lambda: csv(more="1,\0\n"), ("column 'b', step 40",)),
        BadFile(
            "long-field.csv",
            lambda: csv(more="1," + "x" * 300_000 + "\n"),
            ("column 'b', step 40",),
        ),
        BadFile("open-quote.csv", lambda: csv(more='"1,2\n'), ("EOF inside string",)),
        BadFile("missing.csv", lambda: b"a,b\n" + b",\n" * 40, ("nothing is observed",)),
        BadFile("infinite.csv", lambda: csv(more="1,inf\n"), ("step 40, channel 1",)),
        BadFile("1e300.csv", lambda: csv(more="1,1e300\n"), ("step 40, channel 1",)),
        BadFile(
            "three-columns.csv", lambda: b"a,b,c\n" + b"1,2,3\n" * 40, ("found 3; expected 2",)
        ),
        BadFile("latin.csv", lambda: b"a,\xff\xfe\n" + b"1,2\n" * 40, ("can't decode byte",)),
        BadFile("picture.csv", png, ("can't decode byte",)),
        BadFile(
            "falling-times.csv",
            lambda: b"date,a,b\n2020-01-02,1,2\n2020-01-01,3,4\n2020-01-03,3,4\n",
            ("times must rise", "step 1"),
        ),
        BadFile("no-date.csv", lambda: b"date,a,b\n2020-99-99,1,2\n" * 2, ("column 'date'",)),
        BadFile("text.npy", lambda: TEXT, ("the npy header cannot be read",)),
        BadFile("pickle.npy", lambda: npy(np.array([None, 1], object)), ("pickles",)),
        BadFile("complex.npy", lambda: npy(np.ones((40, 2), complex)), ("complex128",)),
        BadFile("rank-3.npy", lambda: npy(np.ones((4, 2, 2))), ("shape (4, 2, 2)",)),
        BadFile("claims.npy", lambda: npy_claiming("(10000000000, 2)"), CLAIMED),
        BadFile("negative.npy", lambda: npy_claiming("(-3, 2)"), CLAIMED),
        BadFile("cut.npy", lambda: cut(npy(table())), CLAIMED),
        BadFile("one-row.csv", lambda: b"a,b\n1,2\n"),
        BadFile("equal-rows.csv", lambda: b"a,b\n" + b"1,2\n" * 40),
    ],
}
