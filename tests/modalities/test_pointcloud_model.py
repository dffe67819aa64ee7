"""Point clouds from data set to picture: trained, embedded, rebuilt, drawn."""

import numpy as np
import pytest
import torch

import anymae
from anymae import draws
from anymae.encoder import SIZES
from anymae.modalities.pointcloud.adapter import PointCloudAdapter
from anymae.modalities.pointcloud.drawing import seen_from
from anymae.model import Model
from anymae.training.arguments import encoder_of, recipe_of
from anymae.training.baselines import trivial

ENCODER = anymae.EncoderConfig(width=32, depth=2, heads=2)
OPTIONS = {
    "groups": {"group_size": 8},
    "voxels": {"tokens": "voxels", "voxel_size": 1.0, "points_per_voxel": 12},
}


def shapes(count: int, features: int = 0) -> list[np.ndarray]:
    """Ellipsoids of unequal numbers of points."""
    adapter = PointCloudAdapter(features=features)
    sizes = np.random.default_rng(0).integers(60, 250, count)
    return [adapter.example(seed)[:n] for seed, n in enumerate(sizes)]


def model_of(samples, recipe="mae", **options) -> Model:
    adapter = PointCloudAdapter(**options).fit(samples)
    method = recipe_of(recipe, adapter, None, {}, {})
    return Model(adapter, method, encoder_of("nano", adapter, recipe, {"encoder.depth": 4}))


def batch(model: Model, samples):
    keys = torch.tensor([draws.key("test", i) for i in range(len(samples))])
    return model.adapter.batch_tokenize(samples).with_keys(keys)


@pytest.mark.parametrize("tokens", OPTIONS)
def test_training_beats_a_guess_and_pictures_show_it(tmp_path, tokens):
    samples = shapes(16)
    run = anymae.pretrain(
        samples, "pointcloud", size=ENCODER, steps=60, batch_size=8, lr=4e-3, out=tmp_path / "run",
        modality_options={"stretch": (1, 1), **OPTIONS[tokens]}, **{"training.log_every": 60},
    )  # fmt: skip
    packed = batch(run.model, samples)
    with torch.no_grad():
        out = run.model(packed, run.model.recipe.mask.draw(packed))
    assert float(out.loss) / out.count < 0.85 * trivial(run.model, [packed]).context_mean
    again = anymae.load(run.path)
    assert again.adapter == run.model.adapter
    np.testing.assert_array_equal(again.embed(samples), run.model.embed(samples))
    picture = run.model.reconstruct(samples[:3])
    for whole, masked, rebuilt in zip(
        picture.original, picture.masked, picture.reconstruction, strict=True
    ):
        assert len(masked) < 0.7 * len(whole)
        assert len(rebuilt) == len(whole)
        np.testing.assert_array_equal(masked, masked[np.isin(masked, whole).all(1)])
        apart = np.linalg.norm(rebuilt[:, None] - whole[None], axis=-1)
        assert 0.001 < apart.min(1).mean() < 0.4
    picture.plot(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


@pytest.mark.parametrize("recipe", ["mae", "simmim"])
@pytest.mark.parametrize("tokens", OPTIONS)
def test_every_weight_learns(recipe, tokens):
    samples = shapes(4, features=1)
    model = model_of(samples, recipe, **OPTIONS[tokens])
    packed = batch(model, samples)
    out = model(packed, model.recipe.mask.draw(packed))
    out.loss.backward()
    assert torch.isfinite(out.loss)
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


@pytest.mark.parametrize("tokens", OPTIONS)
def test_features_do_not_depend_on_batch_mates(tokens):
    samples = shapes(5)
    model = model_of(samples, **OPTIONS[tokens]).eval()
    alone = np.concatenate([model.embed([sample]) for sample in samples])
    np.testing.assert_allclose(model.embed(samples), alone, atol=2e-5)


@pytest.mark.parametrize("tokens", OPTIONS)
def test_hidden_points_do_not_reach_the_encoder(tokens):
    samples = shapes(3)
    model = model_of(samples, **OPTIONS[tokens]).eval()
    packed = batch(model, samples)
    roles = model.recipe.mask.draw(packed)
    wanted = model(packed, roles).prediction
    packed.values[roles.hide] = 1e3
    assert torch.equal(model(packed, roles).prediction, wanted)
    packed.values[roles.see[0]] += 0.5
    assert not torch.equal(model(packed, roles).prediction, wanted)


def test_sizes_by_name_get_windows_for_voxels_only():
    for tokens, layout in (("groups", "full"), ("voxels", "window")):
        adapter = PointCloudAdapter(**OPTIONS[tokens]).fit(shapes(3))
        assert encoder_of("nano", adapter, "mae", {}).layout == layout
        assert SIZES["nano"].layout == "full"


def test_files_in_folders_are_a_data_set_with_labels(tmp_path):
    for i, sample in enumerate(shapes(12)):
        folder = tmp_path / ("flat" if i % 2 else "round")
        folder.mkdir(exist_ok=True)
        np.save(folder / f"{i}.npy", sample * ([1, 1, 0.1] if i % 2 else 1))
    run = anymae.pretrain(tmp_path, "pointcloud", size=ENCODER, steps=5, batch_size=4,
                          out=tmp_path / "run", modality_options={"group_size": 8})  # fmt: skip
    assert run.model.embed(tmp_path / "flat").shape == (6, 32)


def test_a_bad_cloud_is_named(tmp_path):
    samples = shapes(4)
    samples[2] = samples[2].copy()
    samples[2][7, 1] = np.nan
    with pytest.raises(anymae.BadInput, match=r"sample 2: .*not finite; found 1 of 157, point 7"):
        anymae.pretrain(samples, "pointcloud", size=ENCODER, steps=2, out=tmp_path / "run")


def test_scores_come_with_raw_features_and_random_weights():
    samples = shapes(40)
    labels = np.arange(40) % 2
    samples = [s * (1 + 2 * label) for s, label in zip(samples, labels, strict=True)]
    model = model_of(samples, normalise="centre", **OPTIONS["groups"])
    scores = anymae.evaluate(model, (samples, labels), protocol="knn", seeds=1)
    assert scores.raw.value > 0.7
    assert 0 <= scores.value <= 1


# Pictures


@pytest.mark.parametrize("up", ["x", "y", "z"])
def test_what_is_up_is_up_in_the_picture(up):
    points = np.eye(3)
    x, y, depth = seen_from(points, up, elevation=25, azimuth=-60)
    highest = "xyz".index(up)
    assert y.argmax() == highest
    assert y[highest] == pytest.approx(np.cos(np.radians(25)))
    np.testing.assert_allclose(x**2 + y**2 + depth**2, 1)
    assert np.linalg.det(np.stack([x, y, depth])) == pytest.approx(1)


def test_from_the_top_all_points_are_on_the_map():
    x, y, depth = seen_from(np.array([[1.0, 2.0, 3.0]]), "z", elevation=90, azimuth=-90)
    assert (float(x[0]), float(y[0]), float(depth[0])) == pytest.approx((1, 2, 3))
