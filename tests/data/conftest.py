"""Fixtures for the tests of the sources."""

import os
from pathlib import Path

import pytest
import torch

from .tiny import TinyImage

torch.set_num_threads(1)


@pytest.fixture
def image():
    return TinyImage()


@pytest.fixture
def real_data():
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("ANYMAE_DATA", default))
