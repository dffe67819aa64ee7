"""The order priority: the last tokens along an axis are hidden, whatever their order."""

from dataclasses import replace

import pytest
import torch

from anymae.errors import BadConfig
from anymae.kernels.segments import Segments
from anymae.masks import Mask
from anymae.tokens import Packed, Tokens

from ..toys import batch, keys


def masked(packed: Packed, **mask) -> list[torch.Tensor]:
    """The coordinates of the hidden tokens of each sample."""
    roles = Mask(**mask).draw(packed)
    return list(packed.coords[roles.hide].split(roles.of_hide.lengths.tolist()))


def timed(*times: list[float]) -> Packed:
    """Samples of one-number tokens at these times."""
    samples = [Tokens(torch.zeros(len(t), 1), torch.tensor(t)[:, None]) for t in times]
    return Packed.of(samples).with_keys(keys(len(times)))


def test_the_last_tokens_in_time_are_hidden():
    packed = timed([0.5, 3.25, 1.0, 2.0], [7.0, 5.0, 6.0, 9.0, 8.0, 4.0])
    first, second = masked(packed, priority="order", ratio=0.5)
    assert sorted(first[:, 0].tolist()) == [2.0, 3.25]
    assert sorted(second[:, 0].tolist()) == [7.0, 8.0, 9.0]


def test_reversed_the_first_are_hidden():
    (hidden,) = masked(
        timed([0.5, 3.25, 1.0, 2.0]), priority={"kind": "order", "reverse": True}, ratio=0.5
    )
    assert sorted(hidden[:, 0].tolist()) == [0.5, 1.0]


def test_another_axis_can_say_the_order():
    packed = batch([(3, 4)])
    (hidden,) = masked(packed, priority={"kind": "order", "axis": 1}, ratio=0.5)
    assert hidden[:, 1].tolist() == [2, 3] * 3


def test_times_that_differ_by_little_keep_their_order():
    times = [1e6 + step / 8 for step in range(8)]
    (hidden,) = masked(timed(times), priority="order", ratio=0.5)
    assert hidden[:, 0].tolist() == times[4:]


def test_tokens_of_one_time_are_hidden_by_noise():
    packed = batch([(4, 1)] * 200)
    packed = replace(packed, coords=torch.zeros_like(packed.coords))
    hidden = torch.zeros(packed.segments.total)
    hidden[Mask(priority={"kind": "order"}, ratio=0.5).draw(packed).hide] = 1
    share = hidden.view(200, 4).mean(0)
    assert float((share - 0.5).abs().max()) < 5 * (0.25 / 200) ** 0.5


def test_grouped_steps_are_hidden_whole():
    packed = batch([(6, 5), (4, 5)])
    first, second = masked(
        packed, priority="order", groups={"kind": "axis", "axes": [0]}, ratio=0.5
    )
    assert sorted(first[:, 0].tolist()) == sorted([3, 4, 5] * 5)
    assert sorted(second[:, 0].tolist()) == sorted([2, 3] * 5)


def test_a_sample_s_order_does_not_depend_on_its_batch():
    packed = timed([0.0, 1.0, 1.0, 1.0], [1.0, 0.5, 3.0, 2.0])
    alone = packed.slice(0, 1)
    alone = Packed(alone.values, alone.coords, Segments.of_lengths([4]), keys=alone.keys)
    mask = Mask(priority="order", ratio=0.5)
    together = mask.draw(packed).hide
    assert together[together < 4].tolist() == mask.draw(alone).hide.tolist()


def test_an_axis_that_is_not_there_is_refused():
    with pytest.raises(BadConfig, match=r"mask\.priority\.axis.*found 2.*0 to 1"):
        masked(batch([(2, 2)]), priority={"kind": "order", "axis": 2}, ratio=0.5)
