import json

import numpy as np
import pytest
import torch

import anymae
from anymae.data.sources import open_source
from anymae.errors import BadConfig, BadInput
from anymae.evaluation.masked_loss import batches, masked_loss
from anymae.model import Model
from anymae.registry import recipe

from .tiny import Walks, walks


@pytest.fixture(scope="module")
def found(model, digits):
    return anymae.diagnose(model, digits[0][:200])


def test_the_loss_is_the_models_own(model, digits):
    packed = batches(model, open_source(digits[0][:100], model.adapter), 0)
    with torch.no_grad():
        outputs = [model(batch, model.recipe.mask.draw(batch)) for batch in packed]
    wanted = sum(float(o.loss) for o in outputs) / sum(o.count for o in outputs)
    loss = masked_loss(model, packed, "fp32")
    assert loss.mean == pytest.approx(wanted, rel=1e-5)
    assert 0 < loss.error < loss.mean


def test_features_are_those_of_embed(model, digits, found):
    features = model.embed(digits[0][:200])
    values = np.linalg.svd(features, compute_uv=False)
    share = values / values.sum()
    wanted = np.exp(-(share * np.log(share)).sum())
    assert found.effective_rank == pytest.approx(wanted, rel=0.02)  # bf16 where it is fast


def test_a_diagnosis_is_a_function_of_its_seed(model, digits, found):
    assert anymae.diagnose(model, digits[0][:200]).as_dict() == found.as_dict()
    assert anymae.diagnose(model, digits[0][:200], seed=1).loss != found.loss


def test_a_diagnosis_is_a_mapping_and_prints(found):
    assert found["loss"] == found.loss
    assert json.loads(json.dumps(dict(found)))["samples"] == 200
    assert "explained variance" in str(found)
    assert found.memorisation is None


def test_an_untrained_model_is_no_better_than_a_mean(found):
    assert found.explained_variance < 0
    assert any("no better than a mean" in warning for warning in found.warnings)


def test_collapse_is_seen(digits, model):
    dead = Model(model.adapter, model.recipe, model.encoder.config, seed=0)
    with torch.no_grad():
        dead.encoder.norm.weight.mul_(1e-4)
        dead.encoder.norm.bias.fill_(1.0)
    found = anymae.diagnose(dead, digits[0][:100])
    said = " ".join(found.warnings)
    assert "effective rank 1.0" in said
    assert "hardly depend on the sample" in said
    assert "look alike: their mean cosine similarity is 1.0000" in said


def test_memorising_is_told_from_learning(small):
    known, unseen = walks(8, ragged=False)[0], walks(64, ragged=False, seed=1)[0]
    model = Model(Walks(), recipe("mae"), small)
    packed = batches(model, open_source(known, model.adapter), 0)[0]
    solver = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(130):
        output = model(packed, model.recipe.mask.draw(packed))
        solver.zero_grad()
        (output.loss / output.count).backward()
        solver.step()
    found = anymae.diagnose(model, unseen, train=known)
    assert found.memorisation > 1
    assert any("by heart" in warning for warning in found.warnings)
    assert anymae.diagnose(model, known, train=known).memorisation == 0


def test_only_so_many_samples_are_used(walker):
    found = anymae.diagnose(walker, walks(40)[0], samples=10)
    assert found.samples == 10


def test_too_little_is_refused(walker):
    with pytest.raises(BadInput, match="two samples or more"):
        anymae.diagnose(walker, walks(1)[0])
    with pytest.raises(BadConfig, match="samples"):
        anymae.diagnose(walker, walks(4)[0], samples=1)
    lonely = [np.ones((1, 2), np.float32)] * 4
    with pytest.raises(BadInput, match="no token can be hidden"):
        anymae.diagnose(walker, lonely)
