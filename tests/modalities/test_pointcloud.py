"""The point cloud adapter: sets of any size become tokens and come back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anymae.errors import BadConfig, BadInput
from anymae.kernels.segments import Segments
from anymae.losses import ChamferLoss
from anymae.modalities.pointcloud.adapter import PointCloudAdapter
from anymae.modalities.pointcloud.embedding import MiniPointNet
from anymae.tokens import OBSERVED, Packed

TOKENS = ("groups", "voxels")


def cloud(points: int, features: int = 0, seed: int = 0, dtype: str = "float32") -> np.ndarray:
    draw = np.random.default_rng(seed)
    return (draw.normal(size=(points, 3 + features)) * 2 + 5).astype(dtype)


def clouds(*sizes: int, features: int = 0) -> list[np.ndarray]:
    return [cloud(n, features, seed) for seed, n in enumerate(sizes)]


def fitted(samples, **options) -> PointCloudAdapter:
    return PointCloudAdapter(**options).fit(samples)


def voxels(**options) -> dict:
    return {"tokens": "voxels", "voxel_size": 1.0, "points_per_voxel": 200, **options}


def same(a: np.ndarray, b: np.ndarray, atol: float = 1e-4) -> None:
    """Equal as sets of points."""
    assert len(a) == len(b)
    a, b = (x[np.lexsort(np.round(x, 2).T)] for x in (a, b))
    apart = np.abs(a[:, None] - b[None]).max(-1).min(1)
    assert apart.max() <= atol


def equal(a: Packed, b: Packed) -> None:
    assert a.offsets.tolist() == b.offsets.tolist()
    for x, y in ((a.values, b.values), (a.coords, b.coords)):
        assert torch.equal(x, y)
    for ours, theirs in ((a.side, b.side), (a.context, b.context)):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


# Tokens and back


@pytest.mark.parametrize("normalise", ["centre", "none"])
@pytest.mark.parametrize("features", [0, 2])
def test_voxels_hold_every_point(normalise, features):
    samples = clouds(50, 300, features=features)
    adapter = fitted(samples, **voxels(normalise=normalise))
    for sample in samples:
        found = adapter.untokenize(adapter.tokenize(sample))
        assert found.dtype == np.float32
        same(found, sample)


@pytest.mark.parametrize("normalise", ["sphere", "centre", "none"])
@pytest.mark.parametrize("features", [0, 2])
def test_groups_hold_points_of_the_cloud_and_nearly_all(normalise, features):
    samples = clouds(300, 40, features=features)
    adapter = fitted(samples, normalise=normalise, group_size=16, overlap=3)
    for sample in samples:
        tokens = adapter.tokenize(sample)
        found = adapter.untokenize(tokens)
        assert found.shape == (16 * len(tokens), 3 + features)
        apart = np.abs(found[:, None] - sample[None]).max(-1)
        assert apart.min(1).max() < 1e-4
        assert (apart.min(0) < 1e-4).mean() > 0.9


def test_a_group_is_the_nearest_points_around_a_centre():
    sample = cloud(200)
    adapter = fitted([sample], group_size=8, normalise="none")
    tokens = adapter.tokenize(sample)
    scale = adapter.scale
    centres = tokens.coords.numpy() * scale + np.float32(adapter.origin)
    for token in (0, 7, len(tokens) - 1):
        apart = np.linalg.norm(sample - centres[token], axis=1)
        assert apart.min() < 1e-5
        order = np.argsort(apart)[:8]
        offsets = tokens.values[token].view(8, 3).numpy() * adapter.spread * scale
        np.testing.assert_allclose(offsets, sample[order] - centres[token], atol=1e-4)


def test_centres_are_far_from_one_another():
    sample = cloud(1000)
    adapter = fitted([sample], group_size=32)
    coords = adapter.tokenize(sample).coords
    draw = torch.from_numpy(sample)[torch.randperm(1000)[: len(coords)]]
    draw = (draw - draw.mean(0)) / float(adapter.tokenize(sample).context["scale"])
    closest = [torch.cdist(x, x).fill_diagonal_(9).amin(1).mean() for x in (coords, draw)]
    assert closest[0] > 1.5 * closest[1]


@pytest.mark.parametrize(("points", "tokens"), [(1024, 64), (2048, 128), (8192, 512), (20000, 512)])
def test_larger_clouds_have_more_groups_as_published(points, tokens):
    sample = cloud(points)
    assert len(fitted([sample]).tokenize(sample)) == tokens


@pytest.mark.parametrize("tokens", TOKENS)
def test_content_and_places_are_numbers_of_order_one(tokens):
    samples = [1000 * sample for sample in clouds(400, 500, features=1)]
    adapter = fitted(samples, tokens=tokens, normalise="centre")
    packed = adapter.batch_tokenize(samples)
    known = packed.values[packed.side[OBSERVED]]
    assert 0.4 < float(known.square().mean().sqrt()) < 1.5
    if tokens == "groups":
        assert 0.3 < float(packed.coords.std()) < 1.5


def test_a_sphere_forgets_size_and_a_centre_does_not():
    sample = cloud(100)
    both = [sample, 3 * sample]
    values = [fitted(both, normalise="sphere").tokenize(s).values for s in both]
    torch.testing.assert_close(*values)
    small, large = (fitted(both, normalise="centre").tokenize(s).values for s in both)
    torch.testing.assert_close(3 * small, large)


def test_a_sphere_is_a_unit_sphere_and_comes_back_in_metres():
    sample = cloud(100) * 1e6
    adapter = fitted([sample], group_size=4, overlap=4)
    tokens = adapter.tokenize(sample)
    assert float(tokens.coords.norm(dim=1).max()) == pytest.approx(1)
    apart = np.abs(adapter.untokenize(tokens)[:, None] - sample[None]).max(-1).min(1)
    assert apart.max() < 10


def test_metres_of_a_map_keep_their_centimetres():
    sample = cloud(300, dtype="float64") + np.array([5e5, 5.4e6, 100])
    for options in (voxels(normalise="none"), voxels(normalise="centre")):
        adapter = fitted([sample], **options)
        found = adapter.untokenize(adapter.tokenize(sample))
        assert found.dtype == np.float64
        same(found, sample, atol=1e-5)


def test_hidden_tokens_leave_no_points():
    sample = cloud(200, 1)
    for options in ({}, voxels()):
        adapter = fitted([sample], **options)
        tokens = adapter.tokenize(sample)
        whole = adapter.untokenize(tokens)
        tokens.values[3:] = float("nan")
        found = adapter.untokenize(tokens)
        assert np.isfinite(found).all()
        np.testing.assert_array_equal(found, whole[: len(found)])
        assert len(found) == int(tokens.side[OBSERVED][:3].sum()) // 4


# Sets


@pytest.mark.parametrize("options", [{}, voxels(points_per_voxel=4)], ids=TOKENS)
def test_the_order_of_points_means_nothing(options):
    # Whole numbers have many equal distances, and points that are there twice.
    sample = np.random.default_rng(0).integers(0, 5, (200, 4)).astype(np.float32)
    adapter = fitted([sample], **options)
    wanted = Packed.of([adapter.tokenize(sample)])
    for seed in range(3):
        mixed = np.random.default_rng(seed).permutation(sample)
        equal(Packed.of([adapter.tokenize(mixed)]), wanted)


@given(st.lists(st.integers(1, 90), min_size=1, max_size=5), st.sampled_from(TOKENS),
       st.sampled_from(["centre", "none"]), st.integers(0, 2))  # fmt: skip
def test_a_batch_equals_its_samples(sizes, tokens, normalise, features):
    samples = clouds(*sizes, features=features)
    adapter = fitted(clouds(90, 50, features=features), tokens=tokens, normalise=normalise,
                     max_voxels=20, points_per_voxel=3, group_size=8)  # fmt: skip
    equal(adapter.batch_tokenize(samples), Packed.of([adapter.tokenize(s) for s in samples]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("tokens", TOKENS)
def test_a_device_makes_the_same_tokens(tokens):
    samples = clouds(500, 90, 500, features=1)
    adapter = fitted(samples, tokens=tokens, normalise="centre")
    there = adapter.batch_tokenize(samples, "cuda")
    assert there.values.device.type == "cuda"
    here = adapter.batch_tokenize(samples)
    assert torch.equal(there.coords.cpu(), here.coords)
    torch.testing.assert_close(there.values.cpu(), here.values)


@pytest.mark.parametrize("points", [1, 2, 5])
def test_what_a_small_cloud_lacks_is_not_observed(points):
    adapter = fitted(clouds(300), group_size=16, overlap=16)
    tokens = adapter.tokenize(cloud(points))
    observed = tokens.side[OBSERVED].view(len(tokens), 16, 3)
    assert observed[:, :points].all()
    assert not observed[:, points:].any()
    assert not tokens.values.view(len(tokens), 16, 3)[:, points:].any()


@pytest.mark.parametrize("tokens", TOKENS)
def test_a_cloud_of_one_place_is_a_cloud(tokens):
    sample = np.ones((40, 3))
    adapter = fitted([sample], tokens=tokens)
    found = adapter.untokenize(adapter.tokenize(sample))
    np.testing.assert_allclose(found, 1)


# Voxels


def test_voxels_are_cells_and_their_points():
    sample = np.array([[0.1, 0.1, 0.1], [0.9, 0.1, 0.1], [2.5, 1.5, -0.5]], dtype=np.float32)
    adapter = fitted([sample], **voxels(points_per_voxel=3, origin=(0, 0, 0)))
    tokens = adapter.tokenize(sample)
    assert tokens.coords.tolist() == [[0, 0, 0], [2, 1, -1]]
    assert not tokens.coords.is_floating_point()
    first, second = tokens.values.view(2, 3, 3)
    torch.testing.assert_close(first[:2], torch.tensor([[-0.8, -0.8, -0.8], [0.8, -0.8, -0.8]]))
    torch.testing.assert_close(second[0], torch.zeros(3))
    there = tokens.side[OBSERVED].view(2, 3, 3)[..., 0].tolist()
    assert there == [[True, True, False], [True, False, False]]


@given(st.integers(1, 40), st.integers(1, 12))
def test_of_a_crowded_voxel_evenly_spaced_points_are_kept(count, keep):
    sample = np.zeros((count, 3))
    sample[:, 0] = (np.arange(count) + 0.5) / count
    adapter = PointCloudAdapter(features=0, feature_mean=(), feature_std=(), origin=(0, 0, 0),
                                scale=1, time_scale=1, dtype="float64", normalise="none",
                                **voxels(points_per_voxel=keep))  # fmt: skip
    tokens = adapter.tokenize(sample)
    found = adapter.untokenize(tokens)[:, 0]
    wanted = sample[:, 0] if count <= keep else sample[[i * count // keep for i in range(keep)], 0]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_of_too_many_voxels_the_fullest_are_kept():
    sample = np.concatenate([np.full((n, 3), 3.5 * n) for n in (1, 5, 2, 4, 3)])
    adapter = fitted([sample], **voxels(max_voxels=3, origin=(0, 0, 0)))
    tokens = adapter.tokenize(sample)
    assert tokens.side[OBSERVED].view(3, -1, 3)[..., 0].sum(1).tolist() == [3, 4, 5]


def test_the_voxel_size_is_learned_to_hold_the_clouds():
    samples = [cloud(5000), cloud(3000)]
    adapter = fitted(samples, tokens="voxels", max_voxels=300)
    counts = [len(adapter.tokenize(s)) for s in samples]
    assert 150 < max(counts) <= 300


def test_voxels_may_be_pillars():
    sample = cloud(500)
    adapter = fitted([sample], **voxels(voxel_size=(1, 1, 100)))
    tokens = adapter.tokenize(sample)
    assert len(tokens.coords[:, 2].unique()) <= 2
    same(adapter.untokenize(tokens), sample)


def test_a_sweep_is_quick_and_bounded():
    sample = np.random.default_rng(0).normal(size=(100_000, 4)) * [30, 30, 2, 1]
    adapter = fitted([sample], **voxels(points_per_voxel=8, max_voxels=2000))
    tokens = adapter.tokenize(sample)
    assert len(tokens) == 2000
    assert adapter.numbers("mae")["encoder.layout"] == "window"


# Own axes


@pytest.mark.parametrize("options", [{"group_size": 8}, voxels(normalise="centre")], ids=TOKENS)
def test_aligned_tokens_know_no_rotation_and_come_back_turned(options):
    sample = cloud(200, dtype="float64") * [1, 2, 4]
    normals = np.random.default_rng(1).normal(size=(200, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    sample = np.concatenate([sample, normals], 1)
    adapter = fitted([sample], align=True, normals=True, **options)
    wanted = adapter.tokenize(sample)
    for seed in range(3):
        turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
        turned = np.concatenate([sample[:, :3] @ turn, normals @ turn], 1)
        tokens = adapter.tokenize(turned)
        apart = torch.cdist(tokens.coords.double(), wanted.coords.double()).amin(1)
        assert apart.max() < 1e-4
        same(tokens.coords.double().numpy(), wanted.coords.double().numpy())
        found = adapter.untokenize(tokens)
        assert np.abs(found[:, None] - turned[None]).max(-1).min(1).max() < 1e-4


def test_own_axes_are_ordered_by_variance_and_point_to_the_longer_tail():
    draw = np.random.default_rng(0)
    sample = draw.exponential(size=(500, 3)) * [1, 9, 3]
    adapter = fitted([sample], align=True, normalise="centre", **voxels(voxel_size=(30, 30, 30)))
    own = adapter._placed(sample)[0].astype(np.float64)
    assert (np.diff(own.var(0)) < 0).all()
    assert ((own**3).sum(0) > 0).all()
    # The longest axis of the data is its second.
    assert np.corrcoef(own[:, 0], adapter._points(sample)[:, 1])[0, 1] > 0.99


# Time, crops


def test_time_is_a_fourth_axis():
    sample = np.concatenate([cloud(200), np.arange(200)[:, None] * 60.0 + 1.7e9], 1)
    adapter = fitted([sample], axes=4, group_size=8)
    tokens = adapter.tokenize(sample)
    assert (adapter.coord_dim, adapter.token_shape) == (4, (8, 4))
    assert adapter.numbers("mae")["loss.axes"] == 4
    found = adapter.untokenize(tokens)
    assert np.abs(found[:, None] - sample[None]).max(-1).min(1).max() < 0.01
    # Places are whole minutes apart: with a large weight, groups are spans of time.
    still = fitted([sample], axes=4, group_size=8, time_weight=1e4)
    times = still.untokenize(still.tokenize(sample))[:, 3].reshape(-1, 8)
    assert np.ptp(times, axis=1).max() <= 8 * 60
    assert np.ptp(found[:, 3].reshape(-1, 8), axis=1).min() > 8 * 60


def test_points_outside_the_extent_are_left_out():
    sample = cloud(300)
    adapter = fitted([sample], extent=(3, 3, 3, 7, 7, 7), **voxels())
    kept = sample[((sample >= 3) & (sample < 7)).all(1)]
    assert 0 < len(kept) < 300
    same(adapter.untokenize(adapter.tokenize(sample)), kept)
    with pytest.raises(BadInput, match="no point lies inside extent"):
        adapter.tokenize(sample + 50)


# Statistics


def test_statistics_are_kept_and_come_back_from_json():
    samples = clouds(100, 120, features=2)
    adapter = fitted(samples)
    again = PointCloudAdapter.model_validate_json(adapter.model_dump_json())
    assert again == adapter
    stacked = np.concatenate(samples)[:, 3:]
    np.testing.assert_allclose(adapter.feature_mean, stacked.mean(0), rtol=1e-5)
    np.testing.assert_allclose(adapter.feature_std, stacked.std(0), rtol=1e-5)
    assert torch.equal(again.tokenize(samples[0]).values, adapter.tokenize(samples[0]).values)


def test_the_scale_is_that_of_the_data():
    samples = [cloud(500) * 10, cloud(500, seed=1) * 10 + 100]
    apart = [s - s.mean(0) for s in samples]
    wanted = np.sqrt(np.square(np.concatenate(apart)).sum(1).mean())
    assert fitted(samples, normalise="centre").scale == pytest.approx(wanted, rel=1e-4)
    whole = np.concatenate(samples) - np.concatenate(samples).mean(0)
    wanted = np.sqrt(np.square(whole).sum(1).mean())
    assert fitted(samples, normalise="none").scale == pytest.approx(wanted, rel=1e-4)


def test_a_constant_feature_does_no_harm():
    sample = np.concatenate([cloud(50), np.full((50, 1), 7.0)], 1)
    adapter = fitted([sample])
    tokens = adapter.tokenize(sample)
    assert not tokens.values.unflatten(1, adapter.token_shape)[..., 3].any()
    assert (adapter.untokenize(tokens)[:, 3] == 7).all()


def test_raw_features_know_size_and_not_rotation():
    sample = cloud(200)
    adapter = fitted([sample], group_size=4, overlap=8)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    first, turned, large = (adapter.raw_features(adapter.tokenize(s))
                            for s in (sample, sample @ turn, 2 * sample))  # fmt: skip
    assert first.shape == (64 + 6,)
    # Equal but for which points the groups happen to hold.
    assert float((turned - first)[:64].abs().mean()) < 0.1
    assert float((large - 2 * first)[:64].abs().mean()) < 0.1


# The model's parts


def test_the_embedding_sees_sets():
    net = MiniPointNet(5, 3, 24)
    values = torch.randn(7, 5, 3)
    there = torch.rand(7, 5, 1) < 0.6
    there[:, 0] = True

    def embedded(values, there):
        observed = there.expand(-1, -1, 3).flatten(1)
        packed = Packed(values.flatten(1), torch.zeros(7, 3), Segments.of_lengths([7]),
                        side={OBSERVED: observed})  # fmt: skip
        return net(packed)

    wanted = embedded(values, there)
    assert wanted.shape == (7, 24)
    order = torch.randperm(5)
    torch.testing.assert_close(embedded(values[:, order], there[:, order]), wanted)
    torch.testing.assert_close(embedded(values.masked_fill(~there, 99.0), there), wanted)
    assert not torch.allclose(embedded(values * 1.1, there), wanted)


def test_predicted_points_are_shown_spread_out():
    adapter = fitted(clouds(100), group_size=8)
    prediction = torch.randn(6, 24)
    shown = adapter.as_content(prediction, None).view(6, 8, 3)
    loss = ChamferLoss().per_token(shown.flatten(1), prediction, None, (8, 3))
    assert float(loss.max()) < 1e-10
    for before, after in zip(prediction.view(6, 8, 3), shown, strict=True):
        apart = torch.cdist(after[:1], before)
        assert apart.max() == torch.cdist(after[:1], after[1:2])


@pytest.mark.parametrize("recipe", ["mae", "simmim"])
@pytest.mark.parametrize("tokens", TOKENS)
def test_published_numbers_are_used(recipe, tokens):
    numbers = fitted(clouds(100), tokens=tokens, normalise="centre").numbers(recipe)
    assert numbers["loss"] == "chamfer"
    assert numbers["mask.ratio"] == (0.6 if tokens == "groups" else 0.7)
    assert numbers["target.normalise"] == "none"


# Augmentation


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_augmentation_is_a_function_of_its_generator():
    sample = cloud(60)
    adapter = fitted([sample], rotate="any", shift=0.5, sample_points=40)
    before = torch.get_rng_state()
    np.testing.assert_array_equal(*(adapter.augment(sample, drawn(3)) for _ in range(2)))
    others = {adapter.augment(sample, drawn(seed)).tobytes() for seed in range(10)}
    assert len(others) == 10
    assert torch.equal(torch.get_rng_state(), before)
    assert adapter.augment(sample, drawn(0)).shape == (40, 3)


@pytest.mark.parametrize(("rotate", "up"), [("up", "z"), ("up", "x"), ("any", "z")])
def test_turns_keep_distances_and_what_is_up(rotate, up):
    sample = cloud(60, dtype="float64")
    adapter = fitted([sample], rotate=rotate, up=up, stretch=(1, 1))
    ordered = adapter._points(sample)
    angles = []
    for seed in range(30):
        found = adapter.augment(sample, drawn(seed))
        np.testing.assert_allclose(np.linalg.norm(found, axis=1),
                                   np.linalg.norm(ordered, axis=1), rtol=1e-9)  # fmt: skip
        assert np.linalg.det(np.linalg.lstsq(ordered, found)[0]) == pytest.approx(1)
        kept = np.allclose(found[:, "xyz".index(up)], ordered[:, "xyz".index(up)])
        assert kept == (rotate == "up")
        angles.append(float(found[0] @ ordered[0]))
    assert np.std(angles) > 0.1


def test_stretching_keeps_its_bounds_and_moving_too():
    sample = cloud(60, dtype="float64")
    adapter = fitted([sample], rotate="none", stretch=(0.5, 2.0))
    ratios = np.array([(adapter.augment(sample, drawn(s)) / adapter._points(sample))[0]
                       for s in range(200)])  # fmt: skip
    assert 0.5 < ratios.min(0).max() < 0.6
    assert 1.9 < ratios.max(0).min() < 2
    assert abs(np.corrcoef(ratios.T)[0, 1]) < 0.3
    adapter = fitted([sample], rotate="none", stretch=(1, 1), shift=3.0)
    steps = np.array([(adapter.augment(sample, drawn(s)) - adapter._points(sample))
                      for s in range(50)])  # fmt: skip
    assert np.ptp(steps, axis=1).max() < 1e-9
    assert 2.5 < np.abs(steps).max() <= 3


def test_normals_turn_and_stay_normal():
    plane = np.random.default_rng(0).normal(size=(50, 3))
    normal = np.array([1.0, 2.0, 2.0]) / 3
    plane -= (plane @ normal)[:, None] * normal
    sample = np.concatenate([plane, np.tile(normal, (50, 1))], 1)
    adapter = fitted([sample], normals=True, rotate="any")
    for seed in range(5):
        found = adapter.augment(sample, drawn(seed))
        np.testing.assert_allclose(np.linalg.norm(found[:, 3:], axis=1), 1)
        assert np.abs((found[:, :3] * found[:, 3:]).sum(1)).max() < 1e-9
        assert not np.allclose(found[0, 3:], normal)


# What is refused


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (np.zeros((0, 3)), "not a point cloud; found shape (0, 3)"),
        (np.zeros((5, 2)), "not a point cloud; found shape (5, 2)"),
        (np.zeros(5), "not a point cloud; found shape (5,)"),
        (np.zeros((2, 5, 3)), "not a point cloud; found shape (2, 5, 3)"),
        (np.array([["a", "b", "c"]]), "must hold real numbers"),
        (np.zeros((5, 3), complex), "must hold real numbers"),
        (np.zeros((5, 4)), "found points of 4 numbers; expected 3 axes and 0 features"),
        (np.array([[0, 0, 0], [1, np.nan, 2]]), "found 1 of 2, point 1 is [1.0, nan, 2.0]"),
        (np.array([[np.inf, 0, 0]]), "drop_invalid=True"),
    ],
)
def test_what_is_no_cloud_is_refused(sample, words):
    adapter = fitted(clouds(40))
    with pytest.raises(BadInput) as caught:
        adapter.tokenize(sample)
    assert words in str(caught.value)


def test_points_that_are_no_points_can_be_dropped():
    sample = cloud(60)
    spoiled = sample.copy()
    spoiled[::3, 1] = np.nan
    adapter = fitted([sample], drop_invalid=True)
    wanted = adapter.tokenize(np.delete(sample, np.s_[::3], 0))
    assert torch.equal(adapter.tokenize(spoiled).values, wanted.values)
    with pytest.raises(BadInput, match="not finite; found 3 of 3"):
        adapter.tokenize(np.full((3, 3), np.nan))


def test_clouds_that_disagree_are_refused():
    with pytest.raises(BadInput, match="disagree on the numbers of a point; found 4; expected 3"):
        fitted([cloud(20), cloud(20, 1)])
    with pytest.raises(BadInput, match="no point cloud to learn from"):
        fitted([])


def test_points_too_far_away_are_refused():
    adapter = fitted(clouds(40), **voxels())
    with pytest.raises(BadInput, match="too many voxels away"):
        adapter.tokenize(np.full((2, 3), 1e9))


def test_wrong_normals_are_refused():
    with pytest.raises(BadInput, match="unit normals"):
        fitted([cloud(20, 3)], normals=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tokens": "voxels", "normalise": "sphere"}, "normalise=sphere"),
        ({"tokens": "voxels", "axes": 4}, "axes=4 needs tokens=groups"),
        ({"extent": (0, 0, 0, 1, 1, 0)}, "extent is"),
        ({"align": True, "normalise": "none"}, "align=True turns clouds about their means"),
        ({"axes": 5}, "axes"),
        ({"group_size": 0}, "group_size"),
    ],
    ids=str,
)
def test_options_that_do_not_fit_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        PointCloudAdapter(**options)


def test_an_adapter_that_saw_no_data_says_so():
    with pytest.raises(BadConfig, match="does not know its normalise yet"):
        PointCloudAdapter().tokenize(cloud(10))
