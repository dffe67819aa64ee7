"""What the video adapter learns from its data, shows of it, and refuses."""

import numpy as np
import pytest

from anymae.errors import BadConfig, BadInput
from anymae.modalities.video.adapter import VideoAdapter

from .test_video import fitted, videos

# What is learned from the data


def test_statistics_are_those_of_all_pixels_of_short_videos():
    samples = [videos(1, shape, seed=i)[0] for i, shape in enumerate([(8, 8, 12, 3), (4, 4, 4, 3)])]
    pixels = np.concatenate([s.reshape(-1, 3) for s in samples]).astype(np.float64)
    adapter = fitted(samples)
    np.testing.assert_allclose(adapter.mean, pixels.mean(0), rtol=1e-9)
    np.testing.assert_allclose(adapter.std, pixels.std(0), rtol=1e-9)
    assert (adapter.channels, adapter.dtype, adapter.image_size) == (3, "uint8", None)
    assert adapter.value_range == (0, 255)


def test_of_long_videos_a_few_frames_are_looked_at():
    video = np.random.default_rng(0).normal(size=(400, 8, 8)).astype(np.float32)
    adapter = fitted([video], frames=16, stride=2)
    chosen = video[184:216:2][::2].astype(np.float64)  # every second frame of the middle clip
    np.testing.assert_allclose(adapter.mean, [chosen.mean()], rtol=1e-6)
    np.testing.assert_allclose(adapter.std, [chosen.std()], rtol=1e-6)


@pytest.mark.parametrize(
    ("lengths", "stride"), [((16,), 1), ((31, 31, 400), 1), ((40, 50, 36), 2), ((1000, 900), 4)]
)
def test_the_stride_follows_the_lengths(lengths, stride):
    samples = [videos(1, (n, 4, 4), seed=n)[0] for n in lengths]
    assert fitted(samples).stride == stride
    assert fitted(samples, frames=None).stride == 1
    assert fitted(samples, stride=3).stride == 3


@pytest.mark.parametrize(("side", "patch"), [(16, 2), (32, 4), (64, 8), (112, 8), (224, 16)])
def test_the_tube_follows_the_size(side, patch):
    sample = np.zeros((4, side, side), np.uint8)
    sample[0, 0] = 1
    assert VideoAdapter().fit([sample]).patch_size == (2, patch, patch)


def test_one_number_for_the_patch_means_two_frames():
    assert VideoAdapter(patch_size=8).patch_size == (2, 8, 8)


def test_what_is_given_is_not_learned():
    given = {"mean": (1.0,) * 3, "std": (2.0,) * 3, "image_size": (16, 8), "dtype": "float32"}
    adapter = fitted(videos(), **given)
    assert {name: getattr(adapter, name) for name in given} == given


def test_grey_videos_among_coloured_ones_are_coloured():
    samples = [*videos(1), *videos(1, (8, 8, 12))]
    adapter = fitted(samples)
    found = adapter.untokenize(adapter.tokenize(samples[1]))
    np.testing.assert_array_equal(found, np.repeat(samples[1][..., None], 3, 3))


def test_a_fitted_adapter_survives_json():
    adapter = fitted(videos())
    assert VideoAdapter.model_validate_json(adapter.model_dump_json()) == adapter
    assert VideoAdapter(**adapter.model_dump(mode="json")) == adapter


def test_mae_hides_the_same_places_in_all_frames():
    large = fitted(videos(1, (2, 56, 56)), patch_size=(2, 4, 4)).numbers("mae")
    assert large == {"mask.ratio": 0.9, "mask.groups": {"kind": "axis", "axes": [1, 2]}}
    assert fitted(videos()).numbers("mae")["mask.ratio"] == 0.75
    assert fitted(videos()).numbers("simmim") == {}


# What is no video


def said_of(error, call, *arguments) -> str:
    with pytest.raises(error) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")], ids=str)
def test_a_pixel_that_is_no_number_is_pointed_at(bad):
    good = videos(1, (2, 8, 12, 3), "float32")[0]
    sample = good.copy()
    sample[1, 5, 7, 2] = bad
    said = said_of(BadInput, fitted([good]).tokenize, sample)
    assert f"frame 1, row 5, column 7, channel 2: {bad} pixel value" in said
    assert "row 5, column 7, channel 2" in said_of(BadInput, VideoAdapter().fit, [sample])


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (np.zeros((4, 4)), "not a video; found shape (4, 4); expected (T, H, W), (T, H, W, C) or"),
        (np.zeros((2, 2, 4, 4, 3)), "not a video; found shape (2, 2, 4, 4, 3)"),
        (np.zeros((0, 4, 4, 3)), "not a video; found shape (0, 4, 4, 3)"),
        (np.full((2, 4, 4), None), "a video must hold real numbers; found ndarray of object"),
        (np.zeros((2, 4, 4), complex), "found ndarray of complex128"),
        ("a.mp4", "a video must hold real numbers; found str of <U5"),
        (np.zeros((2, 4, 4, 2)), "wrong number of channels; found 2; expected 3"),
    ],
    ids=["image", "five", "empty", "object", "complex", "path", "channels"],
)
def test_what_is_no_video_is_named(sample, said):
    assert said in said_of(BadInput, fitted(videos()).tokenize, sample)


def test_there_must_be_videos_and_they_must_differ_in_something():
    assert "there is no video" in said_of(BadInput, VideoAdapter().fit, [])
    said = said_of(BadInput, VideoAdapter().fit, [np.full((2, 4, 4), 7)] * 2)
    assert "same constant" in said
    assert "every pixel of 2 videos is 7" in said
    said = said_of(BadInput, VideoAdapter().fit, [*videos(1), *videos(1, (8, 3, 8, 12))])
    assert "disagree on where their channels are; found shape (8, 3, 8, 12)" in said
    said = said_of(BadInput, fitted, [*videos(1), *videos(1, (8, 8, 12, 2))])
    assert "disagree on the number of channels; found [2, 3]" in said


def test_what_is_not_known_yet_is_named():
    said = said_of(BadConfig, VideoAdapter(patch_size=4).tokenize, videos(1)[0])
    assert "the video adapter does not know its" in said
    assert "Call adapter.fit(samples)" in said


def test_a_clip_too_large_for_memory_is_refused():
    adapter = fitted(videos(), frames=None, clip_limit=1000)
    said = said_of(BadInput, adapter.tokenize, videos(1, (20, 8, 12, 3))[0])
    assert "a clip too large to hold in memory; found 20 frames of 12 x 8 pixels" in said
    assert len(adapter.tokenize(videos(1, (10, 8, 12, 3))[0])) == 5 * 6


# Pictures


def painted(adapter: VideoAdapter, sample: np.ndarray) -> np.ndarray:
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    adapter.draw(axes, sample)
    return np.asarray(axes.images[0].get_array())


def test_a_picture_shows_eight_frames_in_reading_order():
    sample = np.zeros((15, 8, 8, 3), np.uint8) + np.arange(15, dtype=np.uint8)[:, None, None, None]
    adapter = fitted([sample], value_range=(0.0, 14.0), mean=(7.0,) * 3, std=(9.0,) * 3)
    picture = painted(adapter, sample)
    assert picture.shape == (4 * 9 - 1, 2 * 9 - 1, 4)
    shown = picture[4::9, 4::9, 0].flatten() * 14
    np.testing.assert_allclose(shown, [0, 2, 4, 6, 8, 10, 12, 14])
    assert picture[8, 0, 3] == picture[0, 8, 3] == 1  # the gaps are not taken for missing


def test_missing_pixels_are_transparent():
    sample = videos(1, (3, 8, 8, 3), "float32")[0]
    adapter = fitted([sample])
    sample[0, :4] = np.nan
    picture = painted(adapter, sample)
    assert not picture[:4, :8, 3].any()
    assert picture[4:8, :8, 3].all()
    assert np.isfinite(picture).all()


def test_the_example_moves():
    adapter = VideoAdapter()
    samples = [adapter.example(seed) for seed in range(3)]
    assert not np.array_equal(samples[0], samples[1])
    np.testing.assert_array_equal(samples[0], adapter.example(0))
    assert all((sample[0] != sample[-1]).any() for sample in samples)
    assert len(adapter.fit(samples).tokenize(samples[0])) == 4 * 8 * 12
