"""Codewords that follow a teacher's features, against loops over tokens."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

import anymae
from anymae.errors import BadConfig, IncompatibleRecipe
from anymae.goals import Goal
from anymae.losses import CrossEntropyLoss
from anymae.model import Model
from anymae.recipe import Recipe
from anymae.targets import Prototypes
from anymae.teachers import EmaTeacher

from ..toys import ENCODER, Toy, batch, shaken
from ..training.small import pretrain, weights

TARGET = Prototypes(layers=2, codes=5, decay=0.8)
RAGGED = [(3, 4), (2, 3), (1, 1), (4, 4)]


def taught(target: Prototypes = TARGET, **slots) -> Model:
    recipe = Recipe(
        name="x", paper="p", year=2020, summary="s",
        target=target, loss=CrossEntropyLoss(), teacher=EmaTeacher(), **slots,
    )  # fmt: skip
    net = shaken(Model(Toy(), recipe, ENCODER))
    net.teacher = net.recipe.teacher.build(net)
    net.prepare(batch(RAGGED, seed=5), 0)
    return net.train()


def features(net: Model, one, layer: int) -> np.ndarray:
    """(n, D) instance-normalised features of one sample's tokens after a block."""
    x = net.teacher(one, (layer,))
    x = x.tokens(x.taps[0]).double().numpy()
    return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)


def of_samples(net: Model, packed, roles):
    """(layer, feature, codeword) of every asked token, sample by sample."""
    centres = net.target_state.centres.double().numpy()
    found = []
    for b in range(len(packed)):
        start, stop = roles.of_ask.offsets[b], roles.of_ask.offsets[b + 1]
        own = (roles.ask[start:stop] - packed.offsets[b]).numpy()
        for layer in range(2):
            for feature in features(net, packed.slice(b, b + 1), layer)[own]:
                apart = ((feature - centres[layer]) ** 2).sum(1)
                found.append((layer, feature, int(apart.argmin())))
    return found


def test_a_token_is_its_nearest_codeword_in_every_layer():
    net, packed = taught(), batch(RAGGED)
    roles = net.recipe.mask.draw(packed, net)
    found = net(packed, roles).target.unflatten(1, (2, 5))
    assert torch.equal(found.sum(2), torch.ones(len(roles.ask), 2))
    for layer in range(2):
        wanted = [code for i, _, code in of_samples(net, packed, roles) if i == layer]
        assert found[:, layer].argmax(1).tolist() == wanted
    assert len(set(wanted)) > 1


def test_codewords_start_as_features_of_different_tokens():
    net, packed = taught(), batch(RAGGED, seed=5)
    for layer in range(2):
        every = np.concatenate(
            [features(net, packed.slice(b, b + 1), layer) for b in range(len(packed))]
        )
        centres = net.target_state.centres[layer].double().numpy()
        apart = np.abs(centres[:, None] - every).max(2)
        assert (apart.min(1) < 1e-4).all()
        assert len(set(apart.argmin(1))) == 5


def test_codewords_may_start_as_centroids_of_each_layer():
    net, packed = taught(TARGET.model_copy(update={"start": "k-means"})), batch(RAGGED, seed=5)
    for layer in range(2):
        every = np.concatenate(
            [features(net, packed.slice(b, b + 1), layer) for b in range(len(packed))]
        )
        wanted = KMeans(5, n_init=20, random_state=0).fit(every)
        centres = net.target_state.centres[layer].double().numpy()
        apart = ((every[:, None] - centres) ** 2).sum(2)
        assert apart.min(1).sum() < 1.1 * wanted.inertia_
        means = [every[apart.argmin(1) == code].mean(0) for code in range(5)]
        np.testing.assert_allclose(centres, means, atol=0.3)
        assert apart.min(0).min() > 0.1  # nobody's own feature


def test_codewords_that_do_not_decay_stay():
    net, packed = taught(TARGET.model_copy(update={"decay": 1.0})), batch(RAGGED)
    before = net.target_state.centres.clone()
    output = net(packed, net.recipe.mask.draw(packed, net))
    assert output.observed == {}
    net.learn(output.observed)
    assert torch.equal(net.target_state.centres, before)


def test_a_step_moves_the_codewords_that_were_met_and_no_other():
    net, packed = taught(), batch(RAGGED)
    net.target_state.sums[1, 3] += 1e3  # where nobody is
    roles = net.recipe.mask.draw(packed, net)
    sums, counts = (t.double().numpy().copy() for t in net.target_state.buffers())
    met = of_samples(net, packed, roles)
    for layer in range(2):
        for code in range(5):
            own = [x for i, x, c in met if (i, c) == (layer, code)]
            if own:
                sums[layer, code] = 0.8 * sums[layer, code] + 0.2 * np.sum(own, 0)
                counts[layer, code] = 0.8 * counts[layer, code] + 0.2 * len(own)
    assert not any((i, c) == (1, 3) for i, _, c in met)
    net.learn(net(packed, roles).observed)
    np.testing.assert_allclose(net.target_state.sums, sums, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(net.target_state.counts, counts, rtol=1e-5)


def test_parts_of_a_step_observe_what_the_whole_does():
    net, packed = taught(), batch(RAGGED)
    whole = net(packed, net.recipe.mask.draw(packed, net)).observed[0]
    parts = [packed.slice(0, 2), packed.slice(2, 3), packed.slice(3, 4)]
    seen = [net(part, net.recipe.mask.draw(part, net)).observed[0] for part in parts]
    assert torch.equal(sum(seen)[..., -1], whole[..., -1])
    torch.testing.assert_close(sum(seen), whole, rtol=1e-4, atol=1e-4)
    assert whole[..., -1].sum(1).tolist() == [net.recipe.mask.draw(packed).of_ask.total] * 2


def test_sums_are_exact_in_half_precision():
    net, packed = taught(Prototypes(codes=2)), batch([(24, 24)])
    roles = net.recipe.mask.draw(packed, net)
    with torch.autocast("cpu", torch.bfloat16):
        output = net(packed, roles)
        features = net.recipe.target.by_layer(net.scene(packed, roles))[0]
    assert roles.of_ask.total == 432
    wanted = output.target.double().T @ features.double()
    torch.testing.assert_close(output.observed[0][0, :, :-1].double(), wanted, rtol=0, atol=1e-4)
    assert torch.equal(output.observed[0][0, :, -1], output.target.sum(0))


def test_codewords_nobody_meets_stay_finite():
    net, packed = taught(), batch(RAGGED)
    net.target_state.sums[:, 1:] = 1e6
    for _ in range(50):
        net.learn(net(packed, net.recipe.mask.draw(packed, net)).observed)
    assert torch.equal(net.target_state.counts[:, 1:], torch.ones(2, 4))
    assert torch.isfinite(net.target_state.centres).all()
    assert torch.isfinite(net(packed, net.recipe.mask.draw(packed, net)).loss)


def test_a_batch_that_is_asked_nothing_teaches_nothing():
    net, packed = taught(), batch([(1, 1), (1, 1)])
    roles = net.recipe.mask.draw(packed, net)
    assert roles.of_ask.total == 0
    output = net(packed, roles)
    assert output.loss == 0
    assert not output.observed[0].any()


def test_nothing_is_learned_outside_training():
    net, packed = taught().eval(), batch(RAGGED)
    assert not net(packed, net.recipe.mask.draw(packed, net)).observed


def test_the_loss_is_the_mean_over_layers():
    net, packed = taught(), batch(RAGGED)
    roles = net.recipe.mask.draw(packed, net)
    output = net(packed, roles)
    logits, codes = output.prediction.unflatten(1, (2, 5)), output.target.unflatten(1, (2, 5))
    wanted = [
        torch.nn.functional.cross_entropy(logits[:, i], codes[:, i].argmax(1), reduction="sum")
        for i in range(2)
    ]
    torch.testing.assert_close(output.loss, (wanted[0] + wanted[1]) / 2)


def test_each_goal_has_codewords_of_its_own():
    also = (Goal(target=Prototypes(codes=3), loss=CrossEntropyLoss(), scope="seen"),)
    net, packed = taught(also=also), batch(RAGGED)
    roles = net.recipe.mask.draw(packed, net)
    observed = net(packed, roles).observed
    assert {number: seen.shape for number, seen in observed.items()} == {
        0: (2, 5, 17),
        1: (1, 3, 17),
    }
    assert observed[1][..., -1].sum() == roles.of_see.total
    before = net.also[0].target_state.sums.clone()
    net.learn(observed)
    assert not torch.equal(net.also[0].target_state.sums, before)


def test_more_codewords_than_tokens_are_refused():
    with pytest.raises(BadConfig, match=r"found 35 tokens; expected at least 36"):
        taught(Prototypes(codes=36))


def test_more_layers_than_blocks_are_refused():
    with pytest.raises(IncompatibleRecipe, match="on toy asks for more blocks"):
        taught(Prototypes(layers=2, block=-2, codes=5))


# Whole runs

RUN = {"recipe": "dino-sr", "steps": 6, "training.ema": None, "target.codes": 8}


def codewords(model: Model) -> torch.Tensor:
    return torch.cat([b.flatten() for b in model.target_state.buffers()])


def test_a_skipped_step_moves_no_codeword(tmp_path, monkeypatch):
    from anymae.training.trainer import Trainer

    original, kept = Trainer._update, []

    def update(self, loss, count, observed):
        kept.append(codewords(self.model).clone())
        original(self, float("nan") if self.progress.step == 3 else loss, count, observed)

    monkeypatch.setattr(Trainer, "_update", update)
    pretrain(tmp_path / "run", **RUN)
    still = [torch.equal(a, b) for a, b in pairwise(kept)]
    assert still == [False, False, False, True, False]


def test_validation_moves_no_codeword(tmp_path):
    often = pretrain(tmp_path / "a", **RUN, **{"training.validate_every": 1})
    once = pretrain(tmp_path / "b", **RUN, **{"training.validate_every": 100})
    assert weights(often) == weights(once)


def test_accumulated_micro_batches_count_as_one_step(tmp_path):
    whole = pretrain(tmp_path / "a", **RUN)
    parts = pretrain(tmp_path / "b", **RUN, **{"training.micro_tokens": 50})
    torch.testing.assert_close(codewords(parts.model), codewords(whole.model), rtol=1e-4, atol=1e-4)


RANKS = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import torch
torch.set_num_threads(1)
from small import pretrain
pretrain(Path(sys.argv[2]), recipe=sys.argv[4], steps=6, batch_size=int(sys.argv[3]),
         **{"training.ema": None, "target.codes": 8})
"""


@pytest.mark.parametrize(("name", "size"), [("dino-sr", 16), ("dino-sr", 1), ("ibot", 1)])
def test_many_processes_learn_one_target(tmp_path, name, size):
    script = tmp_path / "ranks.py"
    script.write_text(RANKS)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
        "--master-port", str(29600 + size + 20 * (name == "ibot")), str(script),
        str(Path(__file__).parents[1] / "training"), str(tmp_path / "many"), str(size), name,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    one = pretrain(tmp_path / "one", **(RUN | {"recipe": name}), batch_size=size)
    many = anymae.load(tmp_path / "many")
    torch.testing.assert_close(codewords(many), codewords(one.model), rtol=1e-4, atol=1e-4)
