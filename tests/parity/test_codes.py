"""Codes are what scikit-learn's KMeans predicts from the same centres; the loss is its log loss.

Two centres may be equally near but for rounding, and either answer right: such tokens are few, and
left out. Both sides take distances apart into products, in single precision.
"""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import log_loss

from anymae.encoder import EncoderConfig
from anymae.modalities.image.adapter import ImageAdapter
from anymae.model import Model
from anymae.recipes.values import CODES
from anymae.targets import Codes

SIZES = [(48, 32), (32, 32), (16, 64), (64, 48), (32, 48), (48, 48)]


def images() -> list[np.ndarray]:
    """(H, W, 3) of several sizes: smooth where they begin, rough where they end."""
    draw = np.random.default_rng(0)
    made = []
    for rows, columns in SIZES:
        rough = np.linspace(0.1, 1, columns)[:, None]
        noise = draw.normal(size=(rows, columns, 3))
        made.append((noise.cumsum(0) + noise.cumsum(1) + rough * noise).astype(np.float32))
    return made


@pytest.fixture(params=[(5, True), (5, False), (64, True), (64, False)], scope="module")
def asked(request):
    """A model that asks for codes, a batch, its mask, and what it asks about, (T, F) and (A, F)."""
    codes, centred = request.param
    adapter = ImageAdapter(patch_size=4).fit(images())
    recipe = CODES.model_copy(update={"target": Codes(codes=codes, centred=centred)})
    model = Model(adapter, recipe, EncoderConfig(width=32, depth=1, heads=2)).eval()
    packed = adapter.batch_tokenize(images()).with_keys(torch.arange(len(SIZES)))
    roles = recipe.mask.draw(packed)
    content = packed.values.numpy()
    if centred:
        content = content - content.mean(1, keepdims=True)
    return model, packed, roles, content, content[roles.ask.numpy()]


def fill(model: Model, centres: np.ndarray) -> None:
    model.target_state.centres.copy_(torch.from_numpy(centres))


def test_codes_are_its_predictions(asked):
    model, packed, roles, every, content = asked
    peer = KMeans(model.recipe.target.codes, n_init=1, random_state=0).fit(every)
    fill(model, peer.cluster_centers_)
    with torch.no_grad():
        target = model(packed, roles).target
    assert target.shape == (len(content), model.recipe.target.codes)
    assert ((target == 0) | (target == 1)).all()
    assert (target.sum(1) == 1).all()
    nearest = np.sort(peer.transform(content), axis=1)
    clear = nearest[:, 1] - nearest[:, 0] > 1e-4
    assert clear.mean() > 0.99
    expected = peer.predict(content)
    np.testing.assert_array_equal(target.argmax(1).numpy()[clear], expected[clear])
    assert len(np.unique(expected)) > model.recipe.target.codes // 2


def test_the_loss_is_its_log_loss(asked):
    model, packed, roles, every, _ = asked
    codes = model.recipe.target.codes
    fill(model, KMeans(codes, n_init=1, random_state=0).fit(every).cluster_centers_)
    with torch.no_grad():
        out = model(packed, roles)
    shares = out.prediction.double().softmax(1).numpy()
    expected = log_loss(out.target.argmax(1).numpy(), shares, labels=np.arange(codes))
    assert float(out.loss) / out.count == pytest.approx(expected, rel=1e-5)


def test_what_is_learned_fits_as_well(asked):
    """Codes learned in small batches are nearly as near as those learned from all at once."""
    model, packed, _, every, _ = asked
    codes = model.recipe.target.codes
    fill(model, np.zeros((codes, every.shape[1]), np.float32))
    model.prepare(packed, 0)
    peer = KMeans(codes, n_init=3, random_state=0).fit(every)
    centres = model.target_state.centres.numpy().astype(np.float64)
    apart = ((every[:, None].astype(np.float64) - centres) ** 2).sum(2).min(1).sum()
    assert peer.inertia_ * 0.97 < apart < peer.inertia_ * 1.1
