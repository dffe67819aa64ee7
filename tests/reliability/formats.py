"""Bytes of small files of every format, sound ones and ones whose headers lie."""

import io
import struct
import wave
import zipfile
import zlib
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

TEXT = b"This is a letter, not data.\n" * 9
CUT = 0.6
"""The part of a good file that is left of a cut one."""


def draw(number: int) -> np.random.Generator:
    return np.random.default_rng(number)


def png(number: int = 0, mode: str = "RGB", size: tuple[int, int] = (16, 16)) -> bytes:
    return picture("PNG", number, mode, size)


def picture(form: str, number: int, mode: str = "RGB", size: tuple[int, int] = (16, 16)) -> bytes:
    pixels = draw(number).bytes(size[0] * size[1] * len(Image.new(mode, (1, 1)).getbands()))
    file = io.BytesIO()
    Image.frombytes(mode, size, pixels).save(file, form)
    return file.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A PNG whose header alone is that of another size."""
    content = bytearray(png())
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def npy_claiming(shape: str, dtype: str = "<f4", body: int = 64) -> bytes:
    """An npy file whose header is free to claim anything."""
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    head = head.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + bytes(body)


def with_value(array: np.ndarray, place: tuple[int, ...], value: float) -> np.ndarray:
    array = array.copy()
    array[place] = value
    return array


def npz(arrays: dict[str, np.ndarray | bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in arrays.items():
            archive.writestr(f"{name}.npy", value if isinstance(value, bytes) else npy(value))
    return file.getvalue()


def wav(number: int = 0, samples: int = 4000, channels: int = 1, rate: int = 8000) -> bytes:
    sound = draw(number).normal(0, 3000, samples * channels).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(sound.tobytes())
    return file.getvalue()


def wav_claiming(offset: int, value: bytes) -> bytes:
    content = bytearray(wav())
    content[offset : offset + len(value)] = value
    return bytes(content)


def wav_of(samples: np.ndarray, form: str = "FLOAT") -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, 8000, form, format="WAV")
    return file.getvalue()


def ogg(number: int = 0) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, draw(number).normal(0, 0.1, 4000), 8000, format="OGG")
    return file.getvalue()


def flac(number: int = 0) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, draw(number).normal(0, 0.1, 4000), 8000, format="FLAC")
    return file.getvalue()


@cache
def video(form: str, codec: str, length: int = 8, size: tuple[int, int] = (32, 32)) -> bytes:
    import av

    with TemporaryDirectory() as folder:
        path = Path(folder) / f"video.{form}"
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=10)
            stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
            for number in range(length):
                pixels = draw(number).integers(0, 256, (*size, 3), dtype=np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                container.mux(stream.encode(frame.reformat(format="yuv420p")))
            container.mux(stream.encode())
        return path.read_bytes()


def avi(number: int = 0) -> bytes:
    return video("avi", "mpeg4", 8 + number % 3)


def mp4() -> bytes:
    return video("mp4", "mpeg4")


def sound_only() -> bytes:
    import av

    with TemporaryDirectory() as folder:
        path = Path(folder) / "sound.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=8000)
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate = 8000
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path.read_bytes()


def cloud(number: int = 0, points: int = 40) -> np.ndarray:
    return draw(number).normal(size=(points, 3))


def lines(rows: np.ndarray) -> str:
    return "".join(" ".join(f"{x:.5f}" for x in row) + "\n" for row in rows)


def ply(points: int = 40, claimed: int | str | None = None, values: str | None = None) -> bytes:
    head = (
        f"ply\nformat ascii 1.0\nelement vertex {points if claimed is None else claimed}\n"
        "property float x\nproperty float y\nproperty float z\nend_header\n"
    )
    return (head + (lines(cloud(points=points)) if values is None else values)).encode()


def ply_binary(claimed: int = 40) -> bytes:
    head = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {claimed}\n"
        "property float x\nproperty float y\nproperty float z\nend_header\n"
    )
    return head.encode() + cloud().astype("<f4").tobytes()


def ply_mesh(number_type: str = "ascii") -> bytes:
    """Two triangles."""
    head = (
        f"ply\nformat {number_type} 1.0\nelement vertex 4\nproperty float x\nproperty float y\n"
        "property float z\nelement face 2\nproperty list uchar int vertex_indices\nend_header\n"
    ).encode()
    if number_type == "ascii":
        return head + b"0 0 0\n1 0 0\n1 1 0\n0 1 1\n3 0 1 2\n3 0 2 3\n"
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 1]], "<f4").tobytes()
    return head + corners + struct.pack("<B3iB3i", 3, 0, 1, 2, 3, 0, 2, 3)


def pcd(claimed: int = 40, form: str = "ascii", size: str = "4 4 4") -> bytes:
    head = (
        f"# .PCD v0.7\nVERSION 0.7\nFIELDS x y z\nSIZE {size}\nTYPE F F F\nCOUNT 1 1 1\n"
        f"WIDTH {claimed}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {claimed}\nDATA {form}\n"
    )
    body = lines(cloud()).encode() if form == "ascii" else cloud().astype("<f4").tobytes()
    return head.encode() + body


def off(points: int | None = None, faces: str = "3 0 1 2\n3 0 2 3\n") -> bytes:
    corners = "0 0 0\n1 0 0\n1 1 0\n0 1 1\n"
    return f"OFF\n{4 if points is None else points} 2 0\n{corners}{faces}".encode()


def obj(faces: str = "f 1 2 3\nf 1 3 4\n") -> bytes:
    return f"v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 1\n{faces}".encode()


def graph(number: int = 0, **changes: np.ndarray | bytes) -> bytes:
    """A ring of nodes with two features each."""
    n = 6 + number % 4
    ring = np.stack([np.arange(n), (np.arange(n) + 1) % n])
    arrays = {"x": draw(number).normal(size=(n, 2)), "edges": np.concatenate([ring, ring[::-1]], 1)}
    return npz({**arrays, **changes})


def table(number: int = 0, rows: int = 40) -> np.ndarray:
    return draw(number).normal(size=(rows, 2)).cumsum(0)


def parquet(number: int = 0, rows: int = 40) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(pa.table(dict(zip("ab", table(number, rows).T, strict=True))), file)
    return file.getvalue()


def csv(number: int = 0, rows: int = 40, head: str = "a,b", more: str = "") -> bytes:
    body = "".join(f"{a:.4f},{b:.4f}\n" for a, b in table(number, rows))
    return f"{head}\n{body}{more}".encode()


def cut(content: bytes, part: float = CUT) -> bytes:
    return content[: int(len(content) * part)]
