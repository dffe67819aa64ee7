"""Clusters of a teacher's features, balanced place by place, that learn (CAPI)."""

import numpy as np
import pytest
import torch

import anymae
from anymae.kernels.segments import Segments
from anymae.model import Model
from anymae.targets.balanced import Balanced, balanced
from anymae.views import in_views

from ..toys import ENCODER, Toy, batch, line, shaken
from ..training.small import curve, cut_short, pretrain, weights

CAPI = anymae.recipes()["capi"]
RAGGED = [(3, 4), (2, 3), (1, 1), (4, 4)]


def taught(**changes) -> Model:
    target = Balanced(codes=5, **changes)
    net = shaken(Model(Toy(), CAPI.model_copy(update={"target": target}), ENCODER))
    net.teacher = net.recipe.teacher.build(net)
    return shaken(net).train()


def sinkhorn(scores: np.ndarray, steps: int = 3) -> np.ndarray:
    """The paper's loop on exp of scores (B, K)."""
    q = np.exp(scores)
    rows, columns = q.shape
    for _ in range(steps):
        q = q / q.sum(0, keepdims=True) / columns
        q = q / q.sum(1, keepdims=True) / rows
    return q * rows


@pytest.mark.parametrize("lengths", [[3, 3, 3, 3], [4, 1, 2, 4, 3]])
def test_shares_are_balanced_place_by_place(lengths):
    cut = Segments.of_lengths(lengths)
    logits = torch.randn(cut.total, 6, generator=torch.Generator().manual_seed(0)) * 3
    found = balanced(logits, cut, 3).double().numpy()
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    for place in range(max(lengths)):
        rows = (cut.within("cpu") == place).nonzero()[:, 0]
        wanted = sinkhorn(logits[rows].double().numpy())
        np.testing.assert_allclose(found[rows], wanted, rtol=1e-3, atol=1e-5)


def test_after_many_steps_every_cluster_is_used_alike_at_every_place():
    cut = Segments.of_lengths([2] * 8)
    logits = torch.randn(16, 4, generator=torch.Generator().manual_seed(0)) * 2
    shares = balanced(logits, cut, 200)
    for place in range(2):
        torch.testing.assert_close(shares[place::2].sum(0), torch.full((4,), 2.0))


def test_targets_are_the_teachers_of_the_whole_in_all_views():
    net = taught()
    packed = in_views(batch(RAGGED), 2)
    output = net(packed, net.recipe.mask.draw(packed))
    whole = batch(RAGGED)
    features = torch.nn.functional.normalize(net.teacher(whole).tokens(), dim=1)
    clusters = net.target_state.map
    logits = (features @ clusters[:, :-1].T + clusters[:, -1]) / 0.06
    shares = balanced(logits, whole.segments, 3).repeat(2, 1)
    roles = net.recipe.mask.draw(packed)
    torch.testing.assert_close(output.target, shares[roles.ask], rtol=1e-3, atol=1e-5)
    said = (output.prediction / 0.12).log_softmax(1)
    assert output.loss.item() == pytest.approx(-(output.target * said).sum().item(), rel=1e-4)


def test_clusters_learn_as_torchs_adam_would():
    net, packed = taught(lr=0.01), line([4, 4, 4, 4])
    reference = torch.nn.Linear(ENCODER.width, 5)
    reference.weight.data.copy_(net.target_state.map[:, :-1])
    reference.bias.data.copy_(net.target_state.map[:, -1])
    optimiser = torch.optim.Adam(reference.parameters(), lr=0.01, betas=(0.9, 0.95))
    features = torch.nn.functional.normalize(net.teacher(packed).tokens(), dim=1)
    for _ in range(4):
        halves = [packed.slice(0, 2), packed.slice(2, 4)]
        seen = [net(half, net.recipe.mask.draw(half)).observed[0] for half in halves]
        shares = torch.cat(
            [
                balanced(reference(part) / 0.06, half.segments, 3)
                for part, half in zip(features.split(8), halves, strict=True)
            ]
        ).detach()
        said = (reference(features) / 0.12).log_softmax(1)
        optimiser.zero_grad()
        (-(shares * said).sum(1).mean()).backward()
        optimiser.step()
        net.learn({0: seen[0] + seen[1]})
        torch.testing.assert_close(
            net.target_state.map[:, :-1], reference.weight.data, rtol=1e-3, atol=1e-4
        )
        torch.testing.assert_close(
            net.target_state.map[:, -1], reference.bias.data, rtol=1e-3, atol=1e-4
        )


def test_slots_are_the_papers():
    assert (CAPI.mask.ratio, CAPI.mask.ask, CAPI.mask.priority.hide) == (0.65, 0.05, False)
    assert (CAPI.target.sharpness, CAPI.target.temperature, CAPI.target.steps) == (0.06, 0.12, 3)
    assert (CAPI.decoder.kind, CAPI.teacher.start, CAPI.target.lr) == ("cross", 0.999, 5e-4)


def test_a_run_cut_short_goes_on_as_if_it_was_not(tmp_path, monkeypatch):
    settings = {"recipe": "capi", "target.codes": 8, "teacher.start": 0.9}
    whole = pretrain(tmp_path / "a", **settings)
    cut_short(monkeypatch, 7, lambda: pretrain(tmp_path / "b", **settings))
    again = pretrain(tmp_path / "b", **settings)
    assert curve(again) == curve(whole)
    assert weights(again) == weights(whole)
