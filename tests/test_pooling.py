"""Pooling, against plain torch sample by sample."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anymae import pooling
from anymae.encoder import EncoderConfig, Latents
from anymae.errors import BadConfig
from anymae.kernels.segments import Segments

ENCODER = EncoderConfig(width=6, depth=1, heads=1, registers=1)


def latents(lengths: list[int], seed: int = 0) -> Latents:
    lead, tokens = Segments.of_lengths([2] * len(lengths)), Segments.of_lengths(lengths)
    joined = Segments(lead.offsets + tokens.offsets)
    draw = torch.Generator().manual_seed(seed)
    return Latents(torch.randn(joined.total, 6, generator=draw), joined, lead, tokens)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.permutations(pooling.KINDS))
def test_a_pool_is_each_of_its_kinds_in_order(lengths, kinds):
    found = latents(lengths)
    rows = pooling.pooled(found, pooling.parsed("+".join(kinds), ENCODER))
    for row, whole in zip(rows, found.x.split([2 + n for n in lengths]), strict=True):
        one, tokens = whole[0], whole[2:]
        by_hand = {
            "cls": one,
            "mean": tokens.mean(0),
            "max": tokens.amax(0),
            "std": tokens.std(0, correction=0),
        }
        wanted = torch.cat([by_hand[kind] for kind in kinds])
        torch.testing.assert_close(row, wanted, atol=2e-6, rtol=1e-4)


def test_tokens_that_are_alike_have_finite_slopes():
    found = latents([1, 3])
    x = found.x.clone()
    x[5:] = x[5]
    x.requires_grad_()
    pooling.pooled(found, ("std",), x).sum().backward()
    assert bool(x.grad.isfinite().all())


@pytest.mark.parametrize("pool", ["median", "", "mean+", "mean+mean", 3])
def test_an_unknown_pool_is_refused_with_the_known_ones(pool):
    with pytest.raises(BadConfig, match=r"cls, mean, max, std joined by \+"):
        pooling.parsed(pool, ENCODER)


def test_no_class_token_to_take():
    with pytest.raises(BadConfig, match="no class token"):
        pooling.parsed("mean+cls", ENCODER.model_copy(update={"cls": False}))
