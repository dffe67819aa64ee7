"""Fixtures for the tests of evaluation: digits, and models too small to be good."""

import numpy as np
import pytest
import torch

import anymae
from anymae.model import Model
from anymae.registry import modality, recipe

from .tiny import Walks

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits():
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.images.astype(np.float32), data.target


@pytest.fixture(scope="session")
def small():
    return anymae.EncoderConfig(width=32, depth=2, heads=2)


@pytest.fixture(scope="session")
def model(digits, small):
    adapter = modality("image")(patch_size=4, crop_scale=None, flip=False).fit(digits[0][:200])
    return Model(adapter, recipe("mae"), small, seed=0).eval()


@pytest.fixture(scope="session")
def walker(small):
    return Model(Walks(), recipe("mae"), small, seed=0).eval()
