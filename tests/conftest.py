"""The ground every test stands on: one thread, a known seed, fresh memory that holds NaN."""

from collections.abc import Iterator

import hypothesis
import pytest
import torch

torch.set_num_threads(1)
hypothesis.settings.register_profile(
    "house", derandomize=True, deadline=None, database=None, max_examples=20
)
hypothesis.settings.load_profile("house")


@pytest.fixture(autouse=True)
def _ground(request: pytest.FixtureRequest) -> Iterator[None]:
    """Reading ``torch.empty`` gives NaN in tests, so that no number can come from nowhere."""
    torch.manual_seed(0)
    if "gpu" in request.keywords:  # cuBLAS refuses deterministic mode without a setting of its own
        yield
        return
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)
