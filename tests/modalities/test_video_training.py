"""Video models: pretraining, features and pictures of clips of any length."""

import numpy as np
import pytest

import anymae
from anymae.modalities.video.adapter import VideoAdapter

TINY = anymae.EncoderConfig(width=32, depth=2, heads=2)


@pytest.fixture(scope="module")
def clips():
    """Discs that cross a gradient, in 5 to 8 frames."""
    example = VideoAdapter().example
    return [example(seed)[: 5 + seed % 4] for seed in range(24)]


@pytest.fixture(scope="module")
def run(clips, tmp_path_factory):
    return anymae.pretrain(
        clips, modality="video", size=TINY, steps=60, batch_size=16, lr=3e-3, validation=clips[:8],
        out=tmp_path_factory.mktemp("video") / "run",
        modality_options={"patch_size": (2, 8, 8), "crop_scale": None},
        **{"mask.groups": "each", "target.normalise": "none", "mask.ask": 0.5,
           "position.longest": 20},
    )  # fmt: skip


def test_a_model_learns_from_clips_of_mixed_lengths(run):
    assert run.model.adapter.partial_tubes
    assert run.history[-1]["validation_explained_variance"] > 0.1


def test_features_do_not_depend_on_the_other_clips(run, clips):
    together = run.model.embed(clips, batch_size=8)
    assert together.shape == (24, 32)
    alone = np.concatenate([run.model.embed([clip]) for clip in clips[:3]])
    np.testing.assert_allclose(together[:3], alone, atol=2e-5)
    longer = run.model.embed([np.concatenate([clips[0]] * 3)], pool=None)[0]
    assert len(longer) == 8 * 2 * 3  # 15 frames


def test_a_reconstruction_is_a_video_of_the_same_length(run, clips, tmp_path):
    found = run.model.reconstruct(clips[:4])
    for clip, original, masked, rebuilt in zip(
        clips, found.original, found.masked, found.reconstruction, strict=False
    ):
        np.testing.assert_array_equal(original, clip)
        hidden = np.isnan(masked)
        assert masked.shape == rebuilt.shape == clip.shape
        assert 0 < hidden.mean() < 1
        np.testing.assert_array_equal(rebuilt[~hidden], clip[~hidden])
    found.plot(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_a_saved_model_keeps_what_it_learned(run, clips, tmp_path):
    again = anymae.load(run.model.save(tmp_path / "model"))
    assert again.adapter == run.model.adapter
    np.testing.assert_array_equal(again.embed(clips[:2]), run.model.embed(clips[:2]))
