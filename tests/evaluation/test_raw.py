import numpy as np
import torch
from sklearn.decomposition import PCA

from anymae.data.sources import open_source
from anymae.evaluation.raw import principal, raw_view

from .tiny import Walks, walks


def view(train, test, adapter=None):
    adapter = adapter or Walks()
    return raw_view(adapter, open_source(train, adapter), open_source(test, adapter))


def test_equal_samples_are_flattened():
    samples = walks(30, ragged=False)[0]
    found, what = view(samples[:20], samples[20:])
    flat = np.stack(samples).reshape(30, -1)
    wanted = (flat - flat[:20].mean(0)) / flat[:20].std(0)
    np.testing.assert_allclose(found.train, wanted[:20], atol=1e-4)
    np.testing.assert_allclose(found.test, wanted[20:], atol=1e-4)
    assert what == "token values (12 numbers)"


def test_ragged_samples_are_summarised():
    samples = walks(30)[0]
    found, what = view(samples[:20], samples[20:])
    rows = np.stack([np.concatenate([s.mean(0), s.std(0)]) for s in samples])
    wanted = (rows - rows[:20].mean(0)) / rows[:20].std(0)
    np.testing.assert_allclose(found.test, wanted[20:], atol=1e-4)
    assert what.startswith("mean and standard deviation")


def test_a_single_longer_test_sample_counts():
    samples = walks(30, ragged=False)[0]
    longer = [*samples[20:], np.zeros((9, 2), np.float32)]
    assert view(samples[:20], longer)[0].test.shape == (11, 4)


def test_an_adapter_may_say_what_raw_is():
    class Ends(Walks):
        name = "ends"

        def raw_features(self, tokens):
            return tokens.values[-1]

    found, what = view(walks(30)[0][:20], walks(30)[0][20:], Ends())
    assert found.train.shape == (20, 2)
    assert what == "the adapter's raw features (2 numbers)"


def test_wide_samples_become_principal_components():
    draw = np.random.default_rng(0)
    wide = (draw.normal(size=(400, 200, 2)) * np.linspace(1, 3, 200)[:, None]).astype(np.float32)
    found, what = view(list(wide[:300]), list(wide[300:]))
    assert found.train.shape == (300, 256)
    assert "400 numbers, 256 principal components" in what
    assert torch.isclose(found.train.square().mean(), torch.tensor(1.0), rtol=1e-3)


def test_components_are_those_of_scikit_learn():
    draw = np.random.default_rng(0)
    for rows, width in ((400, 300), (280, 300)):  # both Gram matrices
        data = (draw.normal(size=(rows, 20)) @ draw.normal(size=(20, width))).astype(np.float32)
        data = (data - data.mean(0)) / data.std(0)
        found = principal(torch.from_numpy(data)).of(torch.from_numpy(data))[:, :20].abs()
        wanted = np.abs(PCA(20, svd_solver="full").fit_transform(data.astype(float)))
        np.testing.assert_allclose(found, wanted, atol=1e-2)
