"""What the image adapter learns from its data, and the data it refuses."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from anymae.errors import BadConfig, BadInput
from anymae.modalities.image.adapter import ImageAdapter

from .pictures import fitted, images

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
        assert "found 1 of 288 values not finite or too large; expected finite numbers" in said


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
