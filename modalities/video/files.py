"""Video files, through PyAV: only the frames that a clip needs are decoded, one at a time.

Formats that can name other files or addresses (playlists) are not opened, whatever a file's name.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from pydantic import BaseModel, ConfigDict

from anymae.errors import AnyMAEError, BadInput, missing_extra
from anymae.modalities.video.frames import Frames

EXTENSIONS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".gif")
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,gif"


class FrameLimits(BaseModel):
    """The largest frames, and the most of them, that are believed of a file."""

    model_config = ConfigDict(frozen=True)

    pixels: int
    side: int
    frames: int

    def check(self, height: int, width: int, where: str) -> None:
        """Raise ``BadInput`` for frames that nobody should decode."""
        if min(height, width) < 1:
            raise BadInput("frames without pixels", where=where, found=f"{width} x {height}")
        if height * width > self.pixels or max(height, width) > self.side:
            raise BadInput(
                "frames too large to decode safely",
                where=where,
                found=f"{width} x {height} pixels",
                expected=f"at most {self.pixels:,} pixels and {self.side:,} a side",
                hint="Raise modality_options pixel_limit or side_limit if you trust the file.",
            )

    def check_count(self, frames: int, where: str) -> None:
        """Raise ``BadInput`` for more frames than are worth looking for."""
        if frames > self.frames:
            raise BadInput(
                "too many frames",
                where=where,
                found=f"more than {self.frames:,}",
                hint="Cut the video, or raise modality_options frame_limit.",
            )


class VideoFile(Frames):
    """A video file: its path, or its content where it has none (a member of an archive).

    Opening it reads the container, not the pictures: the frames' size and their times, by which
    a clip is found without decoding what lies before its key frame. 8 bits a channel; rotation
    flags are not applied.
    """

    def __init__(self, file: BinaryIO, name: str, limits: FrameLimits) -> None:
        self.name = name
        self.limits = limits
        self.source = _path_of(file) or file.read()
        with _naming(name), self._opened() as container:
            stream = _video_stream(container, name)
            context = stream.codec_context
            self._size = (context.height, context.width)
            limits.check(*self._size, name)
            self.grey = (context.pix_fmt or "").startswith("gray")
            times = [packet.pts for packet in self._packets(container, stream)]
            timed = container.format.name != "avi"  # which stores none: FFmpeg makes them up
        self._length = len(times)
        if not times:
            raise BadInput("the video has no frames", where=name)
        self.times: np.ndarray | None = None
        if timed and None not in times and len(set(times)) == len(times):
            self.times = np.array(sorted(times), np.int64)

    @property
    def length(self) -> int:
        return self._length

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    def at(self, indices: range) -> Iterator[np.ndarray]:
        with _naming(self.name):
            found = 0
            for by_time in (True, False):
                for image in self._decoded(indices[found:], by_time):
                    found += 1
                    yield image
                if found == len(indices):
                    return
            raise BadInput(
                "the video ends early or is damaged",
                where=self.name,
                found=f"no frame {indices[found]}",
                expected=f"{self.length} frames, as the file says",
            )

    def _packets(self, container: Any, stream: Any) -> Iterator[Any]:
        """The packets that hold a frame which is shown, by which frames are counted: what
        headers say of their number is often missing, and sometimes wrong."""
        count = 0
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard:
                count += 1
                self.limits.check_count(count, self.name)
                yield packet

    def _decoded(self, indices: range, by_time: bool) -> Iterator[np.ndarray]:
        """The frames at ``indices``, until one is not found: by their times, if known, after a
        jump to the key frame before them; or counted from the start."""
        times = self.times if by_time else None
        wanted = list(indices) if times is None else times[list(indices)].tolist()
        with self._opened() as container:
            stream = _video_stream(container, self.name)
            if times is not None and indices[0] > 0:
                container.seek(wanted[0], stream=stream)
            for count, frame in enumerate(container.decode(stream)):
                place = count if times is None else frame.pts
                if place == wanted[0]:
                    yield self._image(frame)
                    wanted = wanted[1:]
                if not wanted or place is None or place > wanted[0]:
                    return

    def _image(self, frame: Any) -> np.ndarray:
        self.limits.check(frame.height, frame.width, self.name)  # it may differ from the header
        if (frame.height, frame.width) != self._size:
            raise BadInput(
                "the size of the frames changes within the video",
                where=self.name,
                found=f"{frame.width} x {frame.height}",
                expected=f"{self._size[1]} x {self._size[0]} as in its header",
            )
        if frame.is_corrupt:
            raise BadInput("a damaged frame", where=self.name, found=f"at {frame.time} s")
        image: np.ndarray = frame.to_ndarray(format="gray" if self.grey else "rgb24")
        return image[..., None] if self.grey else image

    def _opened(self) -> Any:
        av = _av(self.name)
        source = self.source if isinstance(self.source, str) else io.BytesIO(self.source)
        # Opening by path would let FFmpeg read the name as an address.
        file = open(source, "rb") if isinstance(source, str) else source  # noqa: SIM115
        return _Container(av, file)


class _Container:
    """An open container that closes its file, too."""

    def __init__(self, av: Any, file: Any) -> None:
        self.av, self.file = av, file

    def __enter__(self) -> Any:
        try:
            self.container = self.av.open(
                self.file, options={"format_whitelist": _FORMATS}, metadata_errors="replace"
            )
        except BaseException:
            self.file.close()
            raise
        return self.container

    def __exit__(self, *exception: object) -> None:
        self.container.close()
        self.file.close()


def _av(name: str) -> Any:
    try:
        import av
    except ImportError:
        raise missing_extra("av", "video", name) from None
    return av


def _path_of(file: BinaryIO) -> str | None:
    """The path of a file that was opened by one, absolute: it is opened again for each clip."""
    if isinstance(file, io.BufferedReader) and isinstance(file.raw, io.FileIO):
        path = file.name
        if isinstance(path, str) and os.path.isfile(path):
            return os.path.abspath(path)
    return None


def _video_stream(container: Any, name: str) -> Any:
    if not container.streams.video:
        raise BadInput("the file has no video stream", where=name)
    return container.streams.video[0]


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """FFmpeg's errors, which are of many types, become one ``BadInput`` naming the file."""
    try:
        yield
    except AnyMAEError:
        raise
    except Exception as error:
        if isinstance(error, MemoryError) and not hasattr(error, "errno"):  # FFmpeg's have one
            raise
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise BadInput(
            f"cannot be decoded as a video: {reason}",
            where=name,
            expected="a complete mp4, mov, avi, mkv, webm or gif file",
        ) from None
