"""Video files and frame folders: what is read, how little of it, and what nobody should read."""

import io
import pickle
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from anymae.adapter import read_file
from anymae.data.sources import open_source
from anymae.errors import BadInput, MissingExtra
from anymae.modalities.video.adapter import VideoAdapter
from anymae.modalities.video.files import EXTENSIONS, VideoFile

av = pytest.importorskip("av")

CODECS = {
    "mp4": ("libx264", "yuv420p"),
    "m4v": ("mpeg4", "yuv420p"),
    "mov": ("mpeg4", "yuv420p"),
    "avi": ("mpeg4", "yuv420p"),
    "mkv": ("ffv1", "bgr0"),
    "webm": ("libvpx", "yuv420p"),
    "gif": ("gif", "rgb8"),
}
CONTAINERS = {"m4v": "mp4"}


def write(path: Path, frames: np.ndarray, codec: str | None = None, key_every: int = 6) -> Path:
    """Frames (T, H, W, 3) uint8 as a video file."""
    ending = path.suffix[1:]
    name, pixels = CODECS[ending] if codec is None else (codec, "yuv420p")
    with av.open(str(path), "w", format=CONTAINERS.get(ending)) as container:
        stream = container.add_stream(name, rate=10)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        stream.gop_size = key_every
        for image in frames:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def brightening(length: int = 24, size: tuple[int, int] = (32, 48)) -> np.ndarray:
    """Frame t is 10 t grey; the lower half is black."""
    frames = np.zeros((length, *size, 3), np.uint8)
    frames[:, : size[0] // 2] = (np.arange(length) * 10)[:, None, None, None]
    return frames


def opened(path: Path, **options) -> VideoFile:
    return read_file(VideoAdapter(**options), path)


def numbers(video, indices: range) -> list[int]:
    """Which frames of ``brightening`` these look like."""
    return [round(float(frame[:8].mean()) / 10) for frame in video.at(indices)]


def refused(call, path: Path) -> str:
    """The one line with which a file is refused; it names the file."""
    with pytest.raises(BadInput) as caught:
        call()
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    return said


# What is read


@pytest.mark.parametrize("ending", CODECS)
def test_every_declared_ending_is_read_frame_by_frame(tmp_path, ending):
    assert f".{ending}" in EXTENSIONS
    assert len(CODECS) == len(EXTENSIONS)
    video = opened(write(tmp_path / f"a.{ending}", brightening()))
    assert (video.length, video.size) == (24, (32, 48))
    wanted = list(range(24))
    coarse = ending == "gif"  # eight levels of red and green
    assert numbers(video, range(24)) == pytest.approx(wanted, abs=2 if coarse else 0)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
@pytest.mark.parametrize("ending", ["mp4", "avi", "mkv", "webm"])
@pytest.mark.parametrize("indices", [range(13, 24, 3), range(5, 6), range(23, 24)], ids=str)
def test_a_clip_is_found_wherever_it_begins(tmp_path, ending, codec, indices):
    codec = "libvpx-vp9" if ending == "webm" else codec
    video = opened(write(tmp_path / f"a.{ending}", brightening(), codec))
    assert numbers(video, indices) == list(indices)


def test_decoding_begins_at_the_key_frame_before_the_clip(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", brightening(24))
    with av.open(str(path)) as container:
        keys = [round(p.pts * p.time_base * 10) for p in container.demux() if p.is_keyframe]
    key = max(key for key in keys if key <= 16)
    assert key > 6
    video = opened(path)
    decoded, real = [], VideoFile._opened

    @contextmanager
    def counting(self):
        with real(self) as container:
            frames = container.decode

            def decode(stream):
                for frame in frames(stream):
                    decoded.append(round(frame.time * 10))
                    yield frame

            yield SimpleNamespace(streams=container.streams, seek=container.seek, decode=decode)

    monkeypatch.setattr(VideoFile, "_opened", counting)
    assert numbers(video, range(16, 20, 2)) == [16, 18]
    assert decoded[0] == key
    assert decoded[-1] < 20


def test_opening_a_file_decodes_nothing(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", brightening())
    monkeypatch.setattr(VideoFile, "_decoded", None)
    assert opened(path).length == 24


def test_grey_files_stay_grey(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "gray"
        for image in np.random.default_rng(0).integers(0, 256, (4, 16, 16), np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="gray")))
        container.mux(stream.encode())
    wanted = np.random.default_rng(0).integers(0, 256, (4, 16, 16), np.uint8)
    found = np.stack(list(opened(path).at(range(4))))
    np.testing.assert_array_equal(found, wanted[..., None])


def test_a_file_without_a_path_is_kept_in_memory(tmp_path):
    content = write(tmp_path / "a.mp4", brightening()).read_bytes()
    video = VideoAdapter().read(io.BytesIO(content), "shard.tar[a.mp4]")
    assert numbers(video, range(10, 14)) == [10, 11, 12, 13]


def test_videos_travel_between_processes(tmp_path):
    video = opened(write(tmp_path / "a.mp4", brightening()))
    again = pickle.loads(pickle.dumps(video))
    assert numbers(again, range(10, 14)) == [10, 11, 12, 13]


def test_a_file_becomes_the_tokens_of_its_frames(tmp_path):
    path = write(tmp_path / "a.mkv", brightening(40))
    adapter = VideoAdapter(frames=8).fit([opened(path)])
    assert adapter.stride == 4
    wanted = adapter.tokenize(brightening(40)).values
    assert (adapter.tokenize(opened(path)).values == wanted).all()
    found = adapter.untokenize(adapter.tokenize(opened(path)))
    np.testing.assert_array_equal(found, brightening(40)[5:36:4])


def test_a_folder_of_videos_is_a_labelled_data_set(tmp_path):
    for label in ("down", "up"):
        (tmp_path / label).mkdir()
        for i in range(2):
            write(tmp_path / label / f"{i}.mp4", brightening(8 + i))
    source = open_source(tmp_path, VideoAdapter())
    assert source.classes == ["down", "up"]
    assert [video.length for video in source] == [8, 9, 8, 9]


# Frame folders


def write_frames(folder: Path, frames: np.ndarray, ending: str = "png") -> Path:
    folder.mkdir(parents=True)
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"frame{i}.{ending}")
    return folder


def test_folders_of_images_are_videos_in_natural_order(tmp_path):
    frames = brightening(12)
    for name in ("clip10", "clip2"):
        write_frames(tmp_path / name, frames)
    (tmp_path / "labels.txt").write_text("not an image")
    source = open_source(str(tmp_path), VideoAdapter())
    assert len(source) == 2
    assert source.labels is None
    assert [Path(video.folder).name for video in source] == ["clip2", "clip10"]
    np.testing.assert_array_equal(np.stack(list(source[0].at(range(12)))), frames)
    adapter = VideoAdapter(patch_size=8).fit(source)
    np.testing.assert_array_equal(adapter.untokenize(adapter.tokenize(source[1])), frames)


def test_deeper_folders_are_labelled_by_the_first(tmp_path):
    for name in ("run/a", "run/b", "walk/a"):
        write_frames(tmp_path / name, brightening(2))
    source = open_source(tmp_path, VideoAdapter())
    assert (source.classes, source.labels.tolist()) == (["run", "walk"], [0, 0, 1])


def test_one_folder_of_images_is_one_video_and_a_list_of_folders_several(tmp_path):
    folders = [write_frames(tmp_path / name, brightening(3)) for name in "ab"]
    assert [video.length for video in open_source(folders[0], VideoAdapter())] == [3]
    assert [video.length for video in open_source(folders, VideoAdapter())] == [3, 3]


def test_folders_with_video_files_are_not_frame_folders(tmp_path):
    write_frames(tmp_path / "thumbnails", brightening(2))
    write(tmp_path / "a.mp4", brightening(5))
    assert [video.length for video in open_source(tmp_path, VideoAdapter())] == [5]
    assert VideoAdapter().native(tmp_path) is None
    assert VideoAdapter().native(np.zeros((2, 2, 4, 4))) is None
    assert VideoAdapter().native(["a", "b"]) is None
    (tmp_path / "empty").mkdir()
    assert VideoAdapter().native(tmp_path / "empty") is None


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("1", 1), ("LA", 1), ("RGBA", 3)])
def test_images_of_other_kinds_become_grey_or_colour(tmp_path, mode, channels):
    (tmp_path / "a").mkdir()
    Image.fromarray(brightening(1)[0]).convert(mode).save(tmp_path / "a" / "0.png")
    found = next(open_source(tmp_path, VideoAdapter())[0].at(range(1)))
    assert (found.shape, found.dtype) == ((32, 48, channels), np.uint8)


def test_a_frame_that_does_not_fit_is_named(tmp_path):
    folder = write_frames(tmp_path / "a", brightening(3))
    Image.fromarray(brightening(1, (16, 16))[0]).save(folder / "frame1.png")
    video = open_source(tmp_path, VideoAdapter())[0]
    said = refused(lambda: list(video.at(range(3))), folder / "frame1.png")
    assert "differ in size" in said
    (folder / "frame1.png").write_bytes(b"not a picture")
    said = refused(lambda: list(video.at(range(3))), folder / "frame1.png")
    assert "cannot be decoded as an image" in said


# What is not


@pytest.mark.parametrize("ending", CODECS)
@pytest.mark.parametrize("content", [b"", b"this is a letter, not a film\n" * 50], ids=len)
def test_another_kind_of_file_is_refused(tmp_path, ending, content):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    assert "cannot be decoded as a video" in refused(lambda: opened(path), path)


def test_half_a_file_is_refused(tmp_path):
    path = write(tmp_path / "a.mp4", brightening())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cannot be decoded as a video" in refused(lambda: opened(path), path)


def test_a_file_that_lost_its_end_is_what_is_left_or_refused(tmp_path):
    path = write(tmp_path / "a.mkv", brightening())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    video = opened(path)
    assert 8 <= video.length < 16
    try:
        assert numbers(video, range(video.length)) == list(range(video.length))
    except BadInput as error:
        assert str(path) in str(error)  # noqa: PT017 - either is right: the last may be cut


def test_damage_that_the_codec_notices_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (8, 32, 48, 3), np.uint8)
    path = write(tmp_path / "a.mp4", noise, "mpeg4")
    content = bytearray(path.read_bytes())
    content[len(content) // 4 : len(content) // 4 + 60] = bytes(60)
    path.write_bytes(content)
    assert "a damaged frame" in refused(lambda: list(opened(path).at(range(8))), path)


def test_a_file_whose_frames_are_not_there_is_refused(tmp_path):
    path = write(tmp_path / "a.mp4", brightening())
    video = opened(path)
    write(path, brightening(10))
    said = refused(lambda: list(video.at(range(8, 24, 4))), path)
    assert "the video ends early or is damaged; found no frame 12; expected 24 frames" in said


def test_playlists_are_not_followed(tmp_path):
    target = write(tmp_path / "secret.mp4", brightening())
    path = tmp_path / "innocent.mp4"
    for text in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{target}'\n",
    ):
        path.write_text(text)
        refused(lambda: opened(path), path)


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert "no video stream" in refused(lambda: opened(path), path)


def test_what_claims_too_much_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", brightening())
    monkeypatch.setattr(VideoFile, "_image", None)
    said = refused(lambda: opened(path, pixel_limit=1000), path)
    assert "found 48 x 32 pixels; expected at most 1,000 pixels" in said
    assert "40 a side" in refused(lambda: opened(path, side_limit=40), path)
    said = refused(lambda: opened(path, frame_limit=20), path)
    assert "too many frames; found more than 20" in said


def test_a_gif_that_claims_a_huge_canvas_is_refused(tmp_path):
    path = write(tmp_path / "a.gif", brightening(4))
    content = bytearray(path.read_bytes())
    content[6:10] = (12000).to_bytes(2, "little") * 2
    path.write_bytes(content)
    assert "too large to decode safely" in refused(lambda: opened(path), path)


def test_frames_of_folders_keep_the_limits(tmp_path):
    folder = write_frames(tmp_path / "a", brightening(3))
    source = open_source(tmp_path, VideoAdapter(pixel_limit=100))
    said = refused(lambda: list(source[0].at(range(1))), folder / "frame0.png")
    assert "at most 100 pixels" in said
    with pytest.raises(BadInput, match="too many frames"):
        open_source(tmp_path, VideoAdapter(frame_limit=2))[0]


def test_without_its_package_a_video_is_answered_with_the_command(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", brightening(4))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtra, match=r"a\.mp4.*pip install 'anymae\[video\]'"):
        opened(path)
