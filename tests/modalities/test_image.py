"""The image adapter: any image becomes tokens and comes back as it was."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anymae.modalities.image.adapter import ImageAdapter
from anymae.tokens import Packed

from .pictures import fitted, images

RAW = {"mean": (0.0,), "std": (1.0,), "dtype": "float32"}


def grey(**options) -> ImageAdapter:
    """A complete adapter for raw one-channel floats."""
    return ImageAdapter(**{"patch_size": 4, "channels": 1, "channel_axis": "last", **RAW,
                           **options})  # fmt: skip


# Tokens and back


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", [(8, 12, 3), (12, 4, 1), (8, 8, 5), (8, 8), (4, 4, 4)], ids=str)
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


@pytest.mark.parametrize("dtype", ["float64", "uint8"])
def test_missing_tokens_are_missing_pixels(dtype):
    samples = images(2, (8, 8, 1), dtype)
    adapter = fitted(samples)
    tokens = adapter.tokenize(samples[0])
    found = adapter.untokenize(type(tokens)(tokens.values[1:], tokens.coords[1:]))
    assert found.dtype == ("float64" if dtype == "float64" else "float32")
    assert np.isnan(found[:4, :4]).all()
    np.testing.assert_allclose(found[4:], samples[0][4:], rtol=1e-5, atol=1e-4)


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
