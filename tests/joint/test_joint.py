"""Joint pretraining: streams of one sample in one packed sequence, any of them missing."""

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import anymae
from anymae import registry
from anymae.adapter import Adapter
from anymae.config import with_overrides
from anymae.encoder import EncoderConfig
from anymae.errors import BadConfig, BadInput
from anymae.joint import JointAdapter
from anymae.model import Model, Output
from anymae.recipes.pixels import MAE
from anymae.tokens import OBSERVED, Packed, Tokens

from ..toys import keys, shaken

ENCODER = EncoderConfig(width=16, depth=2, heads=2)


class Plain(Adapter):
    """(n, 2) arrays, one token a row; three numbers in its context."""

    name: ClassVar[str] = "plain"
    scale: float = 1.0

    @property
    def token_dim(self) -> int:
        return 2

    @property
    def coord_dim(self) -> int:
        return 1

    def fit(self, samples: Any) -> "Plain":
        return self.model_copy(update={"scale": float(np.abs(np.concatenate(list(samples))).max())})

    def tokenize(self, sample: Any) -> Tokens:
        values = torch.as_tensor(np.asarray(sample), dtype=torch.float32) / self.scale
        coords = torch.arange(len(values))[:, None]
        return Tokens(values, coords, context={"scale": torch.full((3,), self.scale)})

    def untokenize(self, tokens: Tokens) -> np.ndarray:
        return (tokens.values * tokens.context["scale"][0]).numpy()

    def example(self, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).normal(size=(3 + seed % 2, 2))

    def draw(self, axes: Any, sample: Any) -> None:
        axes.plot(sample)


class Gappy(Adapter):
    """(n, m, 3) arrays, a token a cell, with gaps and side information; its loss is its own."""

    name: ClassVar[str] = "gappy"

    @property
    def token_dim(self) -> int:
        return 3

    @property
    def coord_dim(self) -> int:
        return 2

    def numbers(self, recipe: str) -> dict[str, Any]:
        return {"mask.ratio": 0.5, "target.normalise": "none", "loss": "absolute"}

    def tokenize(self, sample: Any) -> Tokens:
        values = torch.as_tensor(np.asarray(sample), dtype=torch.float32)
        coords = torch.cartesian_prod(*(torch.arange(n) for n in values.shape[:2])).view(-1, 2)
        values = values.flatten(0, 1)
        known = values.isfinite()
        side = {OBSERVED: known, "energy": values.nan_to_num().square().sum(1)}
        return Tokens(values.nan_to_num(), coords, side)

    def untokenize(self, tokens: Tokens) -> np.ndarray:
        rows = int(tokens.coords[:, 0].max()) + 1
        return tokens.values.view(rows, -1, 3).numpy()

    def example(self, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).normal(size=(2, 2 + seed % 3, 3))

    def draw(self, axes: Any, sample: Any) -> None:
        axes.imshow(sample[..., 0])


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {"plain": Plain, "gappy": Gappy})


def joint() -> JointAdapter:
    return JointAdapter.of(("plain", "gappy"), {})


def samples(present: list[tuple[bool, bool]]) -> list[tuple[Any, Any]]:
    return [
        (Plain().example(i) if a else None, Gappy().example(i) if b else None)
        for i, (a, b) in enumerate(present)
    ]


presences = st.lists(
    st.sampled_from([(True, True), (True, False), (False, True)]), min_size=1, max_size=5
)


@settings(deadline=None)
@given(presences)
def test_a_batch_is_its_samples_stream_after_stream(present):
    adapter, batch = joint(), samples(present)
    packed = adapter.batch_tokenize(batch)
    for tokens, (plain, gappy) in zip(packed.split(), batch, strict=True):
        own = []
        if plain is not None:
            one = Plain().tokenize(plain)
            own.append(torch.nn.functional.pad(one.values, (0, 1)))
            assert torch.equal(tokens.coords[: len(one), 1], one.coords[:, 0].float())
        if gappy is not None:
            one = Gappy().tokenize(gappy)
            own.append(one.values)
            energy = tokens.side["gappy.energy"][-len(one) :]
            assert torch.equal(energy, one.side["energy"])
        assert torch.equal(tokens.values, torch.cat(own))
        known = tokens.side[OBSERVED]
        assert not known[tokens.coords[:, 0] == 0, 2].any()
        assert known[tokens.coords[:, 0] == 0, :2].all()


@settings(deadline=None)
@given(presences)
def test_every_stream_is_found_again_as_its_adapter_made_it(present):
    adapter, batch = joint().fit(samples([(True, True)])), samples(present)
    packed = adapter.batch_tokenize(batch)
    for stream, entries in zip(adapter.parts, zip(*batch, strict=True), strict=True):
        found = stream.of(packed, stream.rows(packed.coords))
        wanted = [stream.adapter.tokenize(e) if e is not None else None for e in entries]
        assert found.segments.lengths.tolist() == [0 if w is None else len(w) for w in wanted]
        there = [w for w in wanted if w is not None]
        if there:
            assert torch.equal(found.values, torch.cat([w.values for w in there]))
            assert torch.equal(found.coords, torch.cat([w.coords for w in there]))
            assert found.coords.dtype == there[0].coords.dtype


@settings(deadline=None)
@given(presences)
def test_untokenize_gives_every_stream_back(present):
    adapter, batch = joint(), samples(present)
    for tokens, wanted in zip(adapter.batch_tokenize(batch).split(), batch, strict=True):
        found = adapter.untokenize(tokens)
        assert [f is None for f in found] == [w is None for w in wanted]
        for ours, theirs in zip(found, wanted, strict=True):
            if theirs is not None:
                np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_raw_features_are_those_of_each_stream(monkeypatch):
    def told(self, tokens):
        return tokens.values.sum(0)

    monkeypatch.setattr(Plain, "raw_features", told)
    adapter = joint().fit(samples([(True, True)] * 3))
    batch = samples([(True, True), (False, True), (True, False)])
    both, gappy, plain = (adapter.raw_features(adapter.tokenize(sample)) for sample in batch)
    one = adapter.parts[0].adapter.tokenize(batch[0][0]).values.sum(0)
    width = len(one)
    torch.testing.assert_close(both[:width], one)
    assert both[width] == plain[width] == 1
    assert not gappy[: width + 1].any()
    other = adapter.parts[1].adapter.tokenize(batch[0][1]).values
    torch.testing.assert_close(
        both[width + 1 : -1], torch.cat([other.mean(0), other.std(0, correction=0)])
    )
    assert not plain[width + 1 :].any()


def model(seed: int = 0) -> Model:
    method = with_overrides(MAE, {"target.normalise": "none"}, "test")
    return shaken(Model(joint(), method, ENCODER, seed=seed))


def output(net: Model, packed: Packed) -> Output:
    return net(packed, net.recipe.mask.draw(packed))


def test_a_sample_does_not_depend_on_its_batch_mates():
    net = model()
    every = net.adapter.batch_tokenize(samples([(True, True), (False, True), (True, False)]))
    every = every.with_keys(keys(3))
    whole = net.encode(every)
    for i, rows in enumerate(whole.x.split(whole.segments.lengths.tolist())):
        torch.testing.assert_close(net.encode(every.slice(i, i + 1)).x, rows)


def test_each_stream_is_scored_by_its_own_loss():
    net = model()
    packed = net.adapter.batch_tokenize(samples([(True, True), (True, True)])).with_keys(keys(2))
    roles = net.recipe.mask.draw(packed)
    out, asked = net(packed, roles), packed.select(roles.ask, roles.of_ask)
    each = net.score(out.prediction, out.target, asked)
    error = out.prediction - out.target
    of_gappy = asked.coords[:, 0] == 1
    torch.testing.assert_close(each[of_gappy], error[of_gappy].abs().mean(1))
    torch.testing.assert_close(each[~of_gappy], error[~of_gappy][:, :2].square().mean(1))


def test_missing_streams_leave_every_parameter_a_gradient():
    net = model().train()
    packed = net.adapter.batch_tokenize(samples([(True, False)] * 3)).with_keys(keys(3))
    output(net, packed).loss.backward()
    without = [name for name, p in net.named_parameters() if p.grad is None]
    assert not without


def test_positions_differ_between_streams():
    net = model()
    coords = torch.tensor([[0.0, 1, 0], [1.0, 1, 0]])
    there = net.position(coords)
    assert not torch.allclose(there[0], there[1])


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ((None, None), "every stream of the sample is missing"),
        ((np.ones((2, 2)),), "not a joint sample; found tuple of 1"),
        ({"plain": np.ones((2, 2)), "sound": 1}, "not a joint sample"),
        (np.ones((2, 2)), "not a joint sample; found ndarray"),
    ],
)
def test_wrong_samples_are_refused(sample, said):
    with pytest.raises(BadInput, match=said):
        joint().tokenize(sample)


def test_wrong_names_and_options_are_refused():
    with pytest.raises(BadConfig, match="one mapping a modality"):
        JointAdapter.of(("plain", "gappy"), {"scale": 2.0})
    with pytest.raises(BadConfig, match="joined once"):
        JointAdapter.of(("plain", "plain"), {})
    assert JointAdapter.of(("plain", "gappy"), {"plain": {"scale": 2.0}}).streams["plain"] == {
        "scale": 2.0
    }


def test_aligned_data_sets_must_agree_in_length(tmp_path):
    plain = [Plain().example(i) for i in range(4)]
    gappy = [Gappy().example(i) for i in range(3)]
    with pytest.raises(BadInput, match="as many samples each; found plain 4, gappy 3"):
        anymae.pretrain((plain, gappy), ("plain", "gappy"), size=ENCODER, steps=1, out=tmp_path)


def test_a_joint_run_from_data_to_features_and_back(tmp_path):
    plain: list[Any] = [Plain().example(i) for i in range(24)]
    gappy: list[Any] = [Gappy().example(i) for i in range(24)]
    plain[3] = gappy[5] = None
    run = anymae.pretrain(
        (plain, gappy), ("plain", "gappy"), size=ENCODER, steps=6, batch_size=8,
        out=tmp_path / "run", **{"training.workers": 0},
    )  # fmt: skip
    assert run.model.recipe.mask.ratio == pytest.approx((0.75 + 0.5) / 2)
    loaded = anymae.load(run.path)
    mapping = {"gappy": gappy, "plain": plain}
    features = loaded.embed(mapping)
    assert np.array_equal(features, run.model.embed((plain, gappy)))
    assert np.array_equal(features, loaded.embed(list(zip(plain, gappy, strict=True))))
    labels = np.arange(24) % 2
    scores = anymae.evaluate(loaded, ((plain, gappy), labels), protocol="knn", seeds=1)
    assert scores.train_samples + scores.test_samples == 24
    picture = loaded.reconstruct((plain[2:5], gappy[2:5]))
    assert picture.original[1][0] is None
    assert picture.reconstruction[0][1].shape == gappy[2].shape
    assert run.report().exists()
