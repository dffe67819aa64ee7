"""The video adapter: clips of any length and size become tubes and come back as they were."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anymae.errors import BadInput
from anymae.modalities.video.adapter import VideoAdapter
from anymae.modalities.video.sampling import middle
from anymae.modalities.video.tubes import PartialTubeEmbedding
from anymae.tokens import OBSERVED, Packed


def videos(count=3, shape=(8, 8, 12, 3), dtype="uint8", seed=0) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return [draw.normal(3, 50, shape).astype(dtype) for _ in range(count)]
    top = np.iinfo(dtype).max
    return [draw.integers(0, top, shape, dtype=dtype, endpoint=True) for _ in range(count)]


def fitted(samples, **options) -> VideoAdapter:
    return VideoAdapter(**{"patch_size": (2, 4, 4), **options}).fit(samples)


def raw(**options) -> VideoAdapter:
    """A complete adapter for grey numbers as they are."""
    return VideoAdapter(**{
        "patch_size": (2, 2, 2), "channels": 1, "channel_axis": "last", "mean": (0.0,),
        "std": (1.0,), "dtype": "float32", "stride": 1, "partial_tubes": False, **options,
    })  # fmt: skip


def counting(length: int) -> np.ndarray:
    """A grey video whose frame t is the number t everywhere."""
    return np.ones((length, 4, 4), np.float32) * np.arange(length, dtype=np.float32)[:, None, None]


def frames_in(adapter: VideoAdapter, sample) -> list[int]:
    """Which frames of a counting video are tokenized."""
    return adapter.untokenize(adapter.tokenize(sample))[:, 0, 0, 0].astype(int).tolist()


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Tokens and back


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", [(8, 8, 12, 3), (4, 12, 4, 1), (2, 8, 8), (4, 4, 4, 5)], ids=str)
def test_whole_numbers_come_back_exactly(dtype, shape):
    samples = videos(3, shape, dtype)
    adapter = fitted(samples, channel_axis="last")
    for sample in samples:
        found = adapter.untokenize(adapter.tokenize(sample))
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(found, sample.reshape(*shape[:3], -1))


@pytest.mark.parametrize("dtype", ["float32", "float64", ">f4", ">u2", "int16"])
def test_other_numbers_come_back_to_rounding(dtype):
    samples = [(video * 100).astype(dtype) for video in videos(2, (4, 8, 8, 2), "float32")]
    adapter = fitted(samples, channel_axis="last")
    found = adapter.untokenize(adapter.tokenize(samples[0]))
    np.testing.assert_allclose(found, samples[0].astype(np.float64), rtol=1e-4, atol=1e-2)


def test_channels_may_come_first():
    samples = videos(2, (4, 3, 8, 12))
    adapter = fitted(samples)
    assert (adapter.channel_axis, adapter.image_size) == ("first", (8, 12))
    found = adapter.untokenize(adapter.tokenize(samples[0]))
    np.testing.assert_array_equal(found, samples[0].transpose(0, 2, 3, 1))


def test_tensors_are_videos():
    sample = videos(1)[0]
    adapter = fitted([sample])
    wanted = adapter.tokenize(sample).values
    assert torch.equal(adapter.tokenize(torch.from_numpy(sample)).values, wanted)


def test_a_token_is_a_tube_frame_by_frame_channels_fastest():
    sample = videos(1, (4, 8, 12, 3))[0]
    adapter = VideoAdapter(
        patch_size=(2, 4, 6), channels=3, channel_axis="last", stride=1, partial_tubes=False,
        mean=(1.0, 2.0, 3.0), std=(2.0, 4.0, 5.0),
    )  # fmt: skip
    tokens = adapter.tokenize(sample)
    assert (len(tokens), adapter.token_dim, adapter.coord_dim) == (8, 144, 3)
    assert adapter.token_shape == (2, 4, 6, 3)
    assert tokens.coords.tolist() == [
        [t, r, c] for t in range(2) for r in range(2) for c in range(2)
    ]
    tube = (sample[2:4, 4:8, 0:6].astype(np.float64) - [1, 2, 3]) / [2, 4, 5]
    np.testing.assert_allclose(tokens.values[6].numpy(), tube.reshape(-1), rtol=1e-5, atol=1e-5)


def test_missing_tokens_are_missing_pixels():
    samples = videos(2, (4, 8, 8, 1))
    adapter = fitted(samples)
    tokens = adapter.tokenize(samples[0])
    order = torch.randperm(len(tokens) - 1) + 1
    found = adapter.untokenize(type(tokens)(tokens.values[order], tokens.coords[order]))
    assert found.dtype == np.float32
    assert np.isnan(found[:2, :4, :4]).all()
    np.testing.assert_allclose(found[2:], samples[0][2:], atol=1e-3)


# Clips


def test_a_short_video_is_used_whole_and_a_long_one_from_its_middle():
    adapter = raw(frames=4, stride=2)
    assert frames_in(adapter, counting(4)) == [0, 2]
    assert frames_in(adapter, counting(7)) == [0, 2, 4, 6]
    assert frames_in(adapter, counting(20)) == [6, 8, 10, 12]


@given(length=st.integers(1, 60), frames=st.none() | st.integers(1, 20), stride=st.integers(1, 5))
def test_the_middle_clip_is_in_the_middle(length, frames, stride):
    chosen = middle(length, frames, stride)
    before, after = chosen[0], length - 1 - chosen[-1]
    assert before >= 0
    assert 0 <= after - before <= 1
    assert len(chosen) <= (frames or length)
    if len(chosen) != frames:
        assert after + before < stride


def test_without_a_length_whole_videos_are_clips():
    adapter = raw(frames=None)
    assert frames_in(adapter, counting(50)) == list(range(50))
    assert frames_in(raw(frames=None, stride=3), counting(50)) == list(range(0, 48, 3))


def test_pretraining_draws_clips_from_everywhere():
    adapter = raw(frames=4, stride=2, crop_scale=None)
    starts = set()
    for seed in range(150):
        chosen = frames_in(adapter, adapter.augment(counting(12), drawn(seed)))
        assert chosen == list(range(chosen[0], chosen[0] + 8, 2))
        starts.add(chosen[0])
    assert starts == {0, 1, 2, 3, 4, 5}


def test_all_frames_of_a_clip_are_cropped_alike():
    frame = np.add.outer(np.arange(32.0), np.arange(32.0) * 100).astype(np.float32)
    adapter = raw(image_size=32, mean=(0.0,), frames=4)
    crops = []
    for seed in range(20):
        clip = adapter.untokenize(
            adapter.tokenize(adapter.augment(np.stack([frame] * 4), drawn(seed)))
        )
        np.testing.assert_array_equal(clip[1:], clip[:-1])
        crops.append(clip.tobytes())
    assert len(set(crops)) == 20


def test_nothing_is_flipped_unless_told():
    sample = videos(1)[0]
    still = fitted([sample], crop_scale=None)
    both = fitted([sample], crop_scale=None, flip=True)
    kept = sum(
        np.array_equal(both.untokenize(both.tokenize(both.augment(sample, drawn(seed)))), sample)
        for seed in range(100)
    )
    assert 30 < kept < 70
    for seed in range(20):
        clip = still.augment(sample, drawn(seed))
        np.testing.assert_array_equal(still.untokenize(still.tokenize(clip)), sample)


def test_augmentation_is_a_function_of_its_generator():
    sample = videos(1, (20, 16, 16, 3))[0]
    adapter = fitted([sample], frames=8)
    before = torch.get_rng_state()
    found = [adapter.tokenize(adapter.augment(sample, drawn(s))).values for s in (1, 1, 2)]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert torch.equal(torch.get_rng_state(), before)


# Clips that end inside a tube


def test_clips_that_may_not_end_inside_a_tube_lose_frames():
    assert frames_in(raw(), counting(7)) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(BadInput, match=r"shorter than one tube; found 1 frames; expected at least"):
        raw().tokenize(counting(1))


@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_partial_tubes_keep_every_frame_and_invent_none(length):
    adapter = raw(partial_tubes=True, patch_size=(4, 2, 2))
    tokens = adapter.tokenize(counting(length) + 1)
    np.testing.assert_array_equal(adapter.untokenize(tokens)[:, 0, 0, 0], np.arange(length) + 1)
    observed = tokens.side[OBSERVED].unflatten(1, (4, 4))
    assert observed.dtype == torch.bool
    frames = observed[0::4, :, 0].flatten()  # one column of tubes, in time
    assert frames.tolist() == [t < length for t in range(len(frames))]
    assert (observed == observed[:, :, :1]).all()
    assert not tokens.values[~tokens.side[OBSERVED]].any()


def test_videos_of_odd_lengths_are_noticed():
    assert fitted(videos(3, (8, 8, 8))).partial_tubes is False
    assert fitted([*videos(3, (8, 8, 8)), *videos(1, (5, 8, 8))]).partial_tubes is True
    assert fitted(videos(3, (25, 8, 8)), frames=8).partial_tubes is False
    assert fitted(videos(3, (5, 8, 8)), partial_tubes=False).partial_tubes is False


def test_what_is_not_observed_does_not_reach_the_embedding():
    adapter = raw(partial_tubes=True)
    packed = adapter.batch_tokenize([counting(3), counting(4)])
    embedding = adapter.embed(8)
    assert isinstance(embedding, PartialTubeEmbedding)
    torch.nn.init.normal_(embedding.lacks.weight)
    wanted = embedding(packed)
    values = packed.values.masked_fill(~packed.side[OBSERVED], 1e6)
    changed = Packed(values, packed.coords, packed.segments, packed.side, packed.context)
    assert torch.equal(embedding(changed), wanted)
    # A frame of zeros that is there differs from one that is not.
    all_there = {OBSERVED: torch.ones_like(packed.side[OBSERVED])}
    there = Packed(packed.values, packed.coords, packed.segments, all_there, packed.context)
    partial = ~packed.side[OBSERVED].all(1)
    assert ((embedding(there) != wanted).any(1) == partial).all()


# Batches


@given(
    st.lists(st.tuples(*[st.integers(1, 3)] * 3), min_size=1, max_size=4),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_a_batch_equals_its_samples(grids, partial, with_motion):
    adapter = raw(partial_tubes=partial, motion=with_motion)
    shapes = [(2 * t - partial, 2 * h, 2 * w) for t, h, w in grids]
    samples = [videos(1, shape, "float32", seed=i)[0] for i, shape in enumerate(shapes)]
    packed = adapter.batch_tokenize(samples)
    wanted = Packed.of([adapter.tokenize(sample) for sample in samples])
    assert torch.equal(packed.values, wanted.values)
    assert torch.equal(packed.coords, wanted.coords)
    assert packed.offsets.tolist() == wanted.offsets.tolist()
    assert packed.side.keys() == wanted.side.keys()
    assert all(torch.equal(packed.side[name], wanted.side[name]) for name in wanted.side)
    for sample, tokens in zip(samples, packed.split(), strict=True):
        np.testing.assert_array_equal(adapter.untokenize(tokens)[..., 0], sample)


def test_tokenizing_does_not_touch_the_video():
    sample = videos(1)[0]
    sample.flags.writeable = False
    adapter = fitted([sample], motion=True)
    adapter.batch_tokenize([sample, sample[:, ::-1]])


def test_sizes_follow_the_data():
    assert fitted(videos(2, (4, 10, 13))).image_size == (8, 12)
    mixed = fitted([*videos(1, (4, 8, 16)), *videos(1, (4, 64, 32))], max_side=16)
    assert mixed.image_size is None
    assert [len(mixed.tokenize(v)) for v in (np.zeros((4, 8, 16)), np.zeros((4, 64, 32)))] == [
        2 * 2 * 4, 2 * 4 * 2,
    ]  # fmt: skip


def test_a_moving_ramp_is_resampled_frame_by_frame():
    ramp = np.arange(32, dtype=np.float32)[None, None] + np.arange(4)[:, None, None] * 100
    found = raw(image_size=(4, 16)).tokenize(np.repeat(ramp, 8, 1).astype(np.float32))
    small = raw().untokenize(found)[..., 0]
    wanted = np.arange(16) * 2 + 0.5 + np.arange(4)[:, None] * 100
    np.testing.assert_allclose(small[:, 1, 2:-2], wanted[:, 2:-2], atol=0.05)


# Motion


def test_motion_is_the_mean_change_of_a_tube():
    draw = np.random.default_rng(0)
    sample = draw.normal(size=(6, 4, 4)).astype(np.float32)
    change = np.abs(np.diff(sample, axis=0))
    change = np.concatenate([change[:1], change])  # the first frame counts as the second
    wanted = change.reshape(3, 2, 2, 2, 2, 2).mean((1, 3, 5)).flatten()
    found = raw(motion=True).tokenize(sample).side["motion"]
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5)


def test_motion_of_a_partial_tube_is_that_of_its_frames():
    sample = np.random.default_rng(0).normal(size=(3, 2, 2)).astype(np.float32)
    adapter = raw(motion=True, partial_tubes=True)
    change = np.abs(np.diff(sample, axis=0)).mean((1, 2))
    found = adapter.tokenize(sample).side["motion"]
    np.testing.assert_allclose(found.numpy(), change, rtol=1e-5)
    assert adapter.tokenize(sample[:1]).side["motion"].tolist() == [0]


def test_what_moves_is_hidden():
    from anymae.masks import Mask

    still = np.random.default_rng(0).normal(size=(4, 8, 8)).astype(np.float32)
    still[:] = still[0]
    still[:, :4, :4] += np.arange(4)[:, None, None]  # a moving quarter
    packed = raw(motion=True).batch_tokenize([still]).with_keys(torch.tensor([1]))
    mask = Mask(priority={"kind": "given", "field": "motion"}, ratio=0.25)
    hidden = packed.coords[mask.draw(packed).hide]
    assert len(hidden) == 8
    assert (hidden[:, 1:] < 2).all()
