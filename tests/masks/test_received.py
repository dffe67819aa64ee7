"""Masks by what random tokens attend to in the first block, against loops over samples."""

import numpy as np
import torch
from hypothesis import given

import anymae
from anymae import draws
from anymae.encoder import EncoderConfig
from anymae.kernels.segments import Segments
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.masks.watched import ReceivedPriority
from anymae.model import Model
from anymae.recipes.pixels import MAE

from ..toys import Toy, batch, line, shaken, shapes


def student(**encoder) -> Model:
    config = EncoderConfig(width=16, depth=2, heads=2, **encoder)
    return shaken(Model(Toy(), MAE, config))


def by_loops(net: Model, packed, queries: torch.Tensor) -> np.ndarray:
    """(T,) what each token receives, sample by sample, head by head and query by query."""
    block, found = net.encoder.blocks[0], np.zeros(packed.segments.total)
    for b in range(len(packed)):
        one, start = packed.slice(b, b + 1), int(packed.offsets[b])
        x = block.norm_1(net.embedding(one) + net.position(one.coords))
        q, k, _ = (
            block.attention.qkv(x).detach().double().numpy().reshape(len(x), 3, 2, 8).swapaxes(0, 1)
        )
        for head in range(2):
            for row in (int(i) - start for i in queries if 0 <= int(i) - start < len(x)):
                scores = np.exp(k[:, head] @ q[row, head] / 8**0.5)
                found[start : start + len(x)] += scores / scores.sum() / 2
    return found


@given(shapes)
def test_attention_received_is_that_of_the_first_block(shapes):
    net, packed = student(), batch(shapes)
    lengths = packed.segments.lengths
    of_queries = Segments.of_lengths((lengths + 1) // 2)
    queries = torch.cat([
        start + torch.arange(0, n, 2)
        for start, n in zip(packed.offsets.tolist(), lengths.tolist(), strict=False)
    ])  # fmt: skip
    found = net.received(packed, queries, of_queries)
    np.testing.assert_allclose(found, by_loops(net, packed, queries), rtol=1e-3, atol=1e-5)
    assert not found.requires_grad


@given(shapes)
def test_the_hidden_received_most(shapes):
    net, packed = student(registers=2), batch(shapes)
    mask = Mask(priority=ReceivedPriority(per_query=2.0), budget=RatioBudget(ratio=0.5))
    roles = mask.draw(packed, net)
    hidden = roles.of_hide.lengths
    count = torch.round(hidden / 2).long().clamp(min=1).minimum(packed.segments.lengths)
    noise = draws.uniform(
        packed.keys[packed.segments.ids("cpu")], packed.segments.within("cpu"), "mask/query"
    )
    for b in range(len(packed)):
        a, c = int(packed.offsets[b]), int(packed.offsets[b + 1])
        queries = a + noise[a:c].argsort()[: int(count[b])]
        received = by_loops(net, packed.slice(b, b + 1), queries - a)
        gone = [int(i) - a for i in roles.hide if a <= int(i) < c]
        kept = [int(i) - a for i in roles.see if a <= int(i) < c]
        if gone:
            assert received[gone].min() >= received[kept].max() - 1e-6


def test_few_queries_hide_other_tokens_each_time():
    net, packed = student(), line([30] * 40)
    drawn = Mask(priority=ReceivedPriority(), budget=RatioBudget(ratio=0.5)).draw(packed, net)
    assert len({tuple(row) for row in (drawn.see.view(40, -1) % 30).tolist()}) == 40


def test_without_a_model_noise_decides():
    packed = batch([(4, 5)])
    mask = Mask(priority=ReceivedPriority(), budget=RatioBudget(ratio=0.5))
    assert torch.equal(mask.draw(packed).see, Mask(budget=mask.budget).draw(packed).see)


def test_sma_asks_the_seen_through_cross_attention_alone():
    sma = anymae.recipes()["sma"]
    assert (sma.decoder.kind, sma.corruption.kind, sma.teacher.kind) == ("cross", "drop", "none")
    assert not sma.needs
