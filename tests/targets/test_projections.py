"""Random networks of whole samples as targets, and the losses that compare rows of a batch."""

import math

import numpy as np
import pytest
import torch

import anymae
from anymae.errors import BadConfig
from anymae.losses import AlikeLoss, RowCorrelationLoss
from anymae.model import Model
from anymae.targets.projections import most_different

from ..toys import ENCODER, Toy, batch, shaken
from ..training.small import curve, cut_short, pretrain, weights

LFR = anymae.recipes()["lfr"]
RAGGED = [(3, 4), (2, 3), (1, 1), (4, 4), (1, 6)]


def prepared(**changes) -> Model:
    target = LFR.target.model_copy(update={"networks": 3, "size": 5, "hidden": 16} | changes)
    net = shaken(Model(Toy(), LFR.model_copy(update={"target": target}), ENCODER))
    net.prepare(batch([(3, 3)] * 12, seed=1), 0)
    return net.train()


def gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def test_targets_are_what_networks_say_of_each_sample_alone():
    net, packed = prepared(), batch(RAGGED)
    found = net(packed, net.recipe.mask.draw(packed)).target.numpy()
    kept = {name: buffer.double().numpy() for name, buffer in net.target_state.named_buffers()}
    assert found.shape == (5, 15)
    for b, sample in enumerate(packed.split()):
        x, c = sample.values.double().numpy(), sample.coords.double().numpy()
        for k in range(3):
            wave = np.cos(c @ kept["places"][k] + kept["phases"][k])
            hidden = (gelu(x @ kept["content"][k]) * wave).mean(0)
            wanted = hidden @ kept["out"][k] - kept["mean"][k]
            np.testing.assert_allclose(found[b, 5 * k : 5 * k + 5], wanted, rtol=1e-3, atol=1e-4)


def test_the_loss_is_averaged_over_networks():
    net, packed = prepared(), batch(RAGGED)
    output = net(packed, net.recipe.mask.draw(packed))
    total = 0.0
    for k in range(3):
        mine = slice(5 * k, 5 * k + 5)
        said, true = (
            x[:, mine].detach().double().numpy() for x in (output.prediction, output.target)
        )
        said, true = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (said, true))
        cosines = said @ true.T
        off = cosines[~np.eye(5, dtype=bool)]
        total += ((cosines.diagonal() - 1) ** 2).sum() + 0.01 * (off**2).sum()
    assert output.loss.item() == pytest.approx(total / 3, rel=1e-3)


def test_rows_compete_with_neighbours_only():
    said, true = torch.randn(7, 4), torch.randn(7, 4)
    whole = RowCorrelationLoss(rivals=3).per_token(said, true)
    parts = [RowCorrelationLoss().per_token(said[a:b], true[a:b]) for a, b in ((0, 3), (3, 6))]
    torch.testing.assert_close(whole[:6], torch.cat(parts))
    assert RowCorrelationLoss().per_token(true, true)[0] < whole[0]


def test_networks_are_chosen_for_the_largest_determinant():
    draw = torch.Generator().manual_seed(0)
    views = torch.nn.functional.normalize(torch.randn(8, 5, generator=draw).double(), dim=1)
    views[3] = views[0]
    chosen = most_different(views, 4).tolist()
    assert 3 not in chosen
    for step in range(1, 4):
        kernel = (views @ views.T).numpy()
        before = chosen[:step]
        gain = [np.linalg.det(kernel[np.ix_([*before, i], [*before, i])]) for i in range(8)]
        assert chosen[step] == int(np.argmax(gain))


def test_networks_kept_differ_more_than_the_first_ones():
    def alike(net: Model) -> float:
        packed = batch([(3, 3)] * 12, seed=1)
        said = net.target_state(Toy(), packed).transpose(0, 1)
        rows = torch.nn.functional.normalize(said, dim=2)
        views = torch.nn.functional.normalize((rows @ rows.transpose(1, 2)).flatten(1), dim=1)
        return float((views @ views.T).mean())

    assert alike(prepared(candidates=20)) < alike(prepared(candidates=1))


def test_networks_are_centred_on_what_training_starts_with():
    net = prepared()
    said = net.target_state(Toy(), batch([(3, 3)] * 12, seed=1))
    torch.testing.assert_close(said.mean(0), torch.zeros(3, 5), atol=1e-5, rtol=0)


def test_alike_is_the_mean_surprise_at_siblings():
    rows = torch.randn(6, 4, generator=torch.Generator().manual_seed(2))
    number = torch.tensor([[0], [1], [2], [0], [1], [0]])
    found = AlikeLoss(temperature=0.5).per_token(rows, number).numpy()
    x = (rows / rows.norm(dim=1, keepdim=True)).double().numpy()
    for i in range(6):
        shares = np.exp(x @ x[i] / 0.5)
        shares[i] = 0
        shares /= shares.sum()
        mine = [j for j in range(6) if j != i and number[j] == number[i]]
        wanted = -np.log(shares[mine]).mean() if mine else 0.0
        assert found[i] == pytest.approx(wanted, rel=1e-4)
    with pytest.raises(BadConfig, match="by one number"):
        AlikeLoss().per_token(rows, rows)


def test_a_run_cut_short_goes_on_as_if_it_was_not(tmp_path, monkeypatch):
    whole = pretrain(tmp_path / "a", recipe="lfr")
    cut_short(monkeypatch, 7, lambda: pretrain(tmp_path / "b", recipe="lfr"))
    again = pretrain(tmp_path / "b", recipe="lfr")
    assert curve(again) == curve(whole)
    assert weights(again) == weights(whole)
