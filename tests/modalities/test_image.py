"""The image adapter: any image becomes tokens and comes back as it was."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from anymae.errors import BadConfig, BadInput
from anymae.modalities.image.adapter import ImageAdapter
from anymae.tokens import Packed

RAW = {"mean": (0.0,), "std": (1.0,), "dtype": "float32"}


def images(
    count: int = 4, shape: tuple[int, ...] = (8, 12, 3), dtype: str = "uint8", seed: int = 0
) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return [draw.normal(3, 50, shape).astype(dtype) for _ in range(count)]
    top = np.iinfo(dtype).max
    return [draw.integers(0, top, shape, dtype=dtype, endpoint=True) for _ in range(count)]


def fitted(samples: list[np.ndarray], **options) -> ImageAdapter:
    return ImageAdapter(**{"patch_size": 4, **options}).fit(samples)


def grey(**options) -> ImageAdapter:
    """A complete adapter for raw one-channel floats."""
    return ImageAdapter(**{"patch_size": 4, "channels": 1, "channel_axis": "last", **RAW,
                           **options})  # fmt: skip


# Tokens and back


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(
    "shape", [(8, 12, 3), (12, 4, 1), (8, 8, 5), (8, 8), (4, 4, 4)], ids=str
)
def test_whole_numbers_come_back_exactly(dtype, shape):
    samples = images(3, shape, dtype)
    adapter = fitted(samples, channel_axis="last")
    for sample in samples:
        found = adapter.untokenize(adapter.tokenize(sample))
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(found, sample.reshape(*shape[:2], -1))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_come_back_to_rounding(dtype):
    samples = images(3, (8, 12, 2), dtype)
    adapter = fitted(samples, channel_axis="last")
    for sample in samples:
        found = adapter.untokenize(adapter.tokenize(sample))
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_allclose(found, sample, rtol=1e-5 if dtype != "float16" else 1e-3,
                                   atol=1e-4)  # fmt: skip


@pytest.mark.parametrize("dtype", [">u2", ">f4", "int16", "bool"])
def test_other_number_types_are_read(dtype):
    sample = (images(1, (8, 8, 1), "uint8")[0] > 99) if dtype == "bool" else images(
        1, (8, 8, 1), dtype.replace(">u2", "uint16").replace(">f4", "float32")
    )[0].astype(dtype)  # fmt: skip
    adapter = fitted([sample])
    found = adapter.untokenize(adapter.tokenize(sample))
    np.testing.assert_allclose(found, sample.astype(np.float64), rtol=1e-5, atol=1e-4)


def test_channels_may_come_first():
    samples = images(3, (3, 8, 12))
    adapter = fitted(samples)
    assert adapter.channel_axis == "first"
    assert adapter.image_size == (8, 12)
    found = adapter.untokenize(adapter.tokenize(samples[0]))
    np.testing.assert_array_equal(found, samples[0].transpose(1, 2, 0))


def test_five_channels_first_need_no_telling_where_sides_differ():
    samples = images(2, (5, 16, 16))
    assert fitted(samples).channel_axis == "first"
    assert fitted(images(2, (16, 16, 5))).channel_axis == "last"
    assert fitted(images(2, (8, 8, 8)), channel_axis="first").channel_axis == "first"


def test_tensors_and_pil_images_are_images():
    sample = images(1)[0]
    adapter = fitted([sample])
    wanted = adapter.tokenize(sample).values
    assert torch.equal(adapter.tokenize(torch.from_numpy(sample)).values, wanted)
    assert torch.equal(adapter.tokenize(Image.fromarray(sample)).values, wanted)


def test_a_token_is_a_patch_row_by_row_channels_fastest():
    sample = images(1, (8, 12, 3))[0]
    adapter = ImageAdapter(
        patch_size=4, channels=3, channel_axis="last",
        mean=(1.0, 2.0, 3.0), std=(2.0, 4.0, 5.0),
    )  # fmt: skip
    tokens = adapter.tokenize(sample)
    assert (len(tokens), adapter.token_dim, adapter.coord_dim) == (6, 48, 2)
    assert tokens.coords.tolist() == [[r, c] for r in range(2) for c in range(3)]
    patch = (sample[4:8, 8:12].astype(np.float64) - [1, 2, 3]) / [2, 4, 5]
    np.testing.assert_allclose(tokens.values[5].numpy(), patch.reshape(-1), rtol=1e-5, atol=1e-5)


def test_patches_may_be_rectangles():
    sample = images(1, (8, 12, 3))[0]
    adapter = fitted([sample], patch_size=(2, 6))
    assert (adapter.token_dim, len(adapter.tokenize(sample))) == (36, 8)
    np.testing.assert_array_equal(adapter.untokenize(adapter.tokenize(sample)), sample)


def test_tokens_in_any_order_make_the_same_image():
    sample = images(1)[0]
    adapter = fitted([sample])
    tokens = adapter.tokenize(sample)
    order = torch.randperm(len(tokens))
    mixed = type(tokens)(tokens.values[order], tokens.coords[order])
    np.testing.assert_array_equal(adapter.untokenize(mixed), sample)


def test_missing_tokens_are_nan_or_the_mean_colour():
    floats = images(2, (8, 8, 1), "float32")
    adapter = fitted(floats)
    tokens = adapter.tokenize(floats[0])
    few = adapter.untokenize(type(tokens)(tokens.values[1:], tokens.coords[1:]))
    assert np.isnan(few[:4, :4]).all()
    assert not np.isnan(few[4:]).any()
    whole = images(2, (8, 8, 1))
    adapter = fitted(whole)
    tokens = adapter.tokenize(whole[0])
    few = adapter.untokenize(type(tokens)(tokens.values[1:], tokens.coords[1:]))
    assert (few[:4, :4] == round(adapter.mean[0])).all()


# Batches


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=4))
def test_a_batch_equals_its_samples(grids):
    adapter = grey()
    samples = [images(1, (4 * h, 4 * w), "float32", i)[0] for i, (h, w) in enumerate(grids)]
    packed = adapter.batch_tokenize(samples)
    wanted = Packed.of([adapter.tokenize(sample) for sample in samples])
    assert torch.equal(packed.values, wanted.values)
    assert torch.equal(packed.coords, wanted.coords)
    assert packed.offsets.tolist() == wanted.offsets.tolist()
    for sample, tokens in zip(samples, packed.split(), strict=True):
        np.testing.assert_array_equal(adapter.untokenize(tokens)[:, :, 0], sample)


def test_mixed_number_types_can_share_a_batch():
    adapter = grey()
    samples = [images(1, (8, 8), "uint8")[0], images(1, (8, 8), "float32")[0]]
    packed = adapter.batch_tokenize(samples)
    assert torch.equal(packed.values[:4], adapter.tokenize(samples[0]).values)


def test_tokenizing_does_not_touch_the_image():
    sample = images(1)[0]
    sample.flags.writeable = False
    adapter = fitted([sample])
    adapter.tokenize(sample)
    adapter.batch_tokenize([sample, sample[::-1]])


# What is learned from the data


@pytest.mark.parametrize("shapes", [[(8, 12, 3)] * 4, [(8, 12, 3), (4, 4, 3), (16, 8, 3)]], ids=len)
def test_statistics_are_those_of_all_pixels(shapes):
    samples = [images(1, shape, seed=i)[0] for i, shape in enumerate(shapes)]
    pixels = np.concatenate([s.reshape(-1, 3) for s in samples]).astype(np.float64)
    adapter = fitted(samples)
    np.testing.assert_allclose(adapter.mean, pixels.mean(0), rtol=1e-9)
    np.testing.assert_allclose(adapter.std, pixels.std(0), rtol=1e-9)
    assert adapter.channels == 3
    assert adapter.dtype == "uint8"
    assert adapter.image_size == (shapes[0][:2] if len(set(shapes)) == 1 else None)


@pytest.mark.parametrize(
    ("dtype", "top", "wanted"),
    [("uint8", 9, (0, 255)), ("uint16", 200, (0, 255)), ("uint16", 4000, (0, 65535))],
    ids=["uint8", "small-uint16", "uint16"],
)
def test_the_range_is_that_of_the_type(dtype, top, wanted):
    sample = np.zeros((4, 4), dtype)
    sample[0, 0] = top
    assert fitted([sample]).value_range == wanted


def test_the_range_of_floats_is_that_of_the_data():
    sample = np.zeros((4, 4), np.float32)
    sample[0, 0], sample[1, 1] = 2.5, -1
    assert fitted([sample]).value_range == (-1, 2.5)


@pytest.mark.parametrize(
    ("side", "patch"), [(8, 2), (16, 2), (28, 4), (32, 4), (64, 8), (112, 8), (224, 16)]
)
def test_the_patch_follows_the_size(side, patch):
    sample = np.zeros((side, side), np.uint8)
    sample[0, 0] = 1
    assert ImageAdapter().fit([sample]).patch_size == (patch, patch)


def test_what_is_given_is_not_learned():
    given_fields = {"mean": (1.0, 1.0, 1.0), "std": (2.0, 2.0, 2.0), "image_size": 16,
                    "value_range": (0.0, 9.0)}  # fmt: skip
    adapter = fitted(images(), **given_fields)
    assert (adapter.mean, adapter.std, adapter.value_range) == (
        (1.0,) * 3, (2.0,) * 3, (0.0, 9.0)
    )  # fmt: skip
    assert adapter.image_size == (16, 16)


def test_a_dead_channel_is_not_divided_by_zero():
    samples = images(2)
    for sample in samples:
        sample[:, :, 1] = 7
    adapter = fitted(samples)
    assert adapter.std[1] == 1
    assert bool(torch.isfinite(adapter.tokenize(samples[0]).values).all())


def test_grey_images_among_coloured_ones_are_coloured():
    samples = [images(1)[0], images(1, (8, 12))[0]]
    adapter = fitted(samples)
    assert adapter.channels == 3
    found = adapter.untokenize(adapter.tokenize(samples[1]))
    np.testing.assert_array_equal(found, np.repeat(samples[1][:, :, None], 3, 2))


def test_alpha_is_dropped_where_colour_was_learned():
    adapter = fitted(images())
    sample = images(1, (8, 12, 4))[0]
    np.testing.assert_array_equal(adapter.untokenize(adapter.tokenize(sample)), sample[:, :, :3])


def test_a_fitted_adapter_survives_json():
    adapter = fitted(images())
    assert ImageAdapter.model_validate_json(adapter.model_dump_json()) == adapter
    assert ImageAdapter(**adapter.model_dump(mode="json")) == adapter


# Sizes that are not whole patches


def test_other_sizes_are_resampled_to_whole_patches():
    sample = images(1, (10, 13, 3))[0]
    adapter = fitted([sample])
    assert adapter.image_size == (8, 12)
    found = adapter.untokenize(adapter.tokenize(sample))
    assert found.shape == (8, 12, 3)
    assert abs(float(found.mean()) - float(sample.mean())) < 5


def test_images_keep_their_own_size_where_sizes_differ():
    samples = [images(1, (8, 12, 3))[0], images(1, (4, 9, 3))[0]]
    adapter = fitted(samples)
    assert [len(adapter.tokenize(sample)) for sample in samples] == [6, 2]


def test_large_images_of_mixed_sizes_are_shrunk():
    samples = [images(1, (64, 32))[0], images(1, (8, 8))[0]]
    adapter = fitted(samples, max_side=16)
    assert adapter.untokenize(adapter.tokenize(samples[0])).shape == (16, 8, 1)
    assert adapter.untokenize(adapter.tokenize(samples[1])).shape == (8, 8, 1)


def test_a_ramp_stays_a_ramp():
    ramp = np.repeat(np.arange(32, dtype=np.float32)[None], 32, 0)
    found = grey(image_size=16).tokenize(ramp)
    small = grey().untokenize(found)[:, :, 0]
    np.testing.assert_allclose(small[:, 2:-2], np.tile(np.arange(16) * 2 + 0.5, (16, 1))[:, 2:-2],
                               atol=0.05)  # fmt: skip


# Augmentation


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(8, 12, 3), (3, 8, 12), (8, 12)], ids=str)
def test_augmented_images_keep_size_range_and_axes(shape):
    samples = images(3, shape)
    adapter = fitted(samples)
    for seed in range(20):
        found = adapter.augment(samples[0], drawn(seed))
        assert found.shape == (shape if len(shape) == 3 else (*shape, 1))
        assert found.min() >= samples[0].min()
        assert found.max() <= samples[0].max()
        assert len(adapter.tokenize(found)) == 6


def test_augmentation_is_a_function_of_its_generator():
    samples = images(2, (16, 16, 3))
    adapter = fitted(samples)
    before = torch.get_rng_state()
    same = [adapter.augment(samples[0], drawn(3)) for _ in range(2)]
    np.testing.assert_array_equal(*same)
    others = [adapter.augment(samples[0], drawn(seed)) for seed in range(20)]
    assert len({other.tobytes() for other in others}) == 20
    assert torch.equal(torch.get_rng_state(), before)


def test_half_of_the_images_are_flipped():
    sample = images(1)[0]
    adapter = fitted([sample], crop_scale=None)
    found = [adapter.augment(sample, drawn(seed)) for seed in range(200)]
    flipped = sum(np.array_equal(image, sample[:, ::-1]) for image in found)
    straight = sum(np.array_equal(image, sample) for image in found)
    assert flipped + straight == 200
    assert 65 < flipped < 135


def test_augmentation_can_be_switched_off():
    sample = images(1)[0]
    adapter = fitted([sample], crop_scale=None, flip=False)
    np.testing.assert_array_equal(adapter.augment(sample, drawn(0)), sample)


def test_crops_have_the_area_and_shape_they_should():
    # A ramp along each axis tells where a crop began, and how long it was.
    rows, columns = np.mgrid[0:64, 0:64].astype(np.float32)
    sample = np.stack([rows, columns], -1)
    adapter = ImageAdapter(
        patch_size=4, image_size=64, channels=2, channel_axis="last",
        mean=(0.0, 0.0), std=(1.0, 1.0), flip=False,
    )  # fmt: skip
    areas, aspects = [], []
    for seed in range(150):
        found = adapter.augment(sample, drawn(seed))
        height, width = np.ptp(found[:, 0, 0]) + 1, np.ptp(found[0, :, 1]) + 1
        areas.append(height * width / 64**2)
        aspects.append(width / height)
    assert 0.18 < min(areas) < 0.3
    assert 0.85 < max(areas) <= 1.01
    assert 0.7 < min(aspects) < 0.85
    assert 1.2 < max(aspects) < 1.4


# What is no image


def said_of(error: type[Exception], call, *arguments) -> str:
    with pytest.raises(error) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")], ids=str)
def test_a_pixel_that_is_no_number_is_pointed_at(bad):
    sample = images(1, (8, 12, 3), "float32")[0]
    adapter = fitted([sample])
    sample = sample.copy()
    sample[5, 7, 2] = bad
    for call, argument in ((adapter.tokenize, sample), (ImageAdapter().fit, [sample])):
        said = said_of(BadInput, call, argument)
        assert f"row 5, column 7, channel 2: {bad} pixel value" in said
        assert "found 1 non-finite of 288 values; expected finite numbers" in said


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (np.zeros(4), "not an image; found shape (4,); expected (H, W), (H, W, C) or (C, H, W)"),
        (np.zeros((2, 4, 4, 3)), "not an image; found shape (2, 4, 4, 3)"),
        (np.zeros((0, 4, 3)), "not an image; found shape (0, 4, 3)"),
        (np.full((4, 4), None), "an image must hold real numbers; found ndarray of object"),
        (np.zeros((4, 4), complex), "found ndarray of complex128"),
        (np.full((4, 4), "x"), "an image must hold real numbers; found ndarray of <U1"),
        ("a.png", "an image must hold real numbers; found str of <U5"),
        (None, "an image must hold real numbers; found NoneType of object"),
        (np.zeros((4, 4, 2)), "wrong number of channels; found 2; expected 3"),
        (np.zeros((4, 4, 5)), "wrong number of channels; found 5; expected 3"),
    ],
    ids=["vector", "four", "empty", "object", "complex", "text", "path", "none", "two", "five"],
)
def test_what_is_no_image_is_named(sample, said):
    assert said in said_of(BadInput, fitted(images()).tokenize, sample)


def test_there_must_be_images_and_they_must_differ_in_something():
    assert "no image to learn from; found 0 samples" in said_of(BadInput, ImageAdapter().fit, [])
    constant = [np.full((4, 4, 3), 7, np.uint8)] * 2
    said = said_of(BadInput, ImageAdapter().fit, constant)
    assert "all images are the same constant: there is nothing to learn" in said
    assert "every pixel of 2 images is 7" in said


def test_images_must_agree_on_channels_and_axes():
    mixed = [images(1, (8, 8, 3))[0], images(1, (8, 8, 5))[0]]
    assert "disagree on the number of channels" in said_of(BadInput, ImageAdapter().fit, mixed)
    turned = [images(1, (8, 8, 3))[0], images(1, (3, 8, 8))[0]]
    said = said_of(BadInput, ImageAdapter().fit, turned)
    assert "images disagree on where their channels are" in said
    assert "channel_axis" in said


def test_an_adapter_that_was_not_fitted_says_so():
    said = said_of(BadConfig, ImageAdapter().tokenize, images(1)[0])
    assert "does not know its channels yet" in said
    assert "adapter.fit(samples)" in said
    with pytest.raises(BadConfig, match="does not know its patch_size yet"):
        _ = ImageAdapter().token_dim


@pytest.mark.parametrize(
    "options",
    [{"patch_sise": 4}, {"max_side": 0}, {"channels": 0}, {"patch_size": "big"},
     {"channel_axis": "middle"}, {"mean": (float("nan"),)}],
    ids=str,
)  # fmt: skip
def test_impossible_options_are_refused(options):
    with pytest.raises(ValidationError):
        ImageAdapter(**options)


@pytest.mark.parametrize(
    "options", [{"patch_size": 0}, {"patch_size": (4, -4)}, {"image_size": 0}, {"std": (0.0,)}],
    ids=str,
)  # fmt: skip
def test_sizes_and_scales_must_be_positive(options):
    with pytest.raises(ValidationError, match="greater than 0"):
        ImageAdapter(**options)


def test_the_example_is_a_valid_sample():
    adapter = ImageAdapter()
    samples = [adapter.example(seed) for seed in range(3)]
    assert not np.array_equal(samples[0], samples[1])
    np.testing.assert_array_equal(samples[0], adapter.example(0))
    assert len(adapter.fit(samples).tokenize(samples[0])) == 8 * 12
