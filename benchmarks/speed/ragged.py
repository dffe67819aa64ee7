"""Samples of very different lengths through the encoder, beside padding with a mask and beside
sorting into buckets, as users of plain torch do it."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from anymae.benchmarks.peers import padding
from anymae.benchmarks.peers.steps import stepping
from anymae.benchmarks.speed.contest import Contest, Entrant, Step
from anymae.encoder import Encoder, EncoderConfig
from anymae.kernels.segments import Segments
from anymae.precision import Precision

WIDTH, DEPTH, HEADS = 192, 4, 3
MIXES = {"long": (32, 20, 600), "short": (128, 6, 66)}
"""Samples a batch, and their shortest and longest length, spread evenly on a logarithmic axis."""


def samples(count: int, shortest: int, longest: int) -> list[Tensor]:
    """Random tokens (L_i, D) of mixed lengths, in a random order."""
    draw = torch.Generator().manual_seed(0)
    share = torch.linspace(0, 1, count)[torch.randperm(count, generator=draw)]
    lengths = (shortest * (longest / shortest) ** share).long().tolist()
    return [torch.randn(length, WIDTH, generator=draw) for length in lengths]


def ours(mix: tuple[int, int, int], precision: Precision, device: torch.device) -> Step:
    """One packed batch through the encoder."""
    batch = [one.to(device) for one in samples(*mix)]
    config = EncoderConfig(width=WIDTH, depth=DEPTH, heads=HEADS, cls=False)
    torch.manual_seed(0)
    model = Encoder(config)
    lengths = [len(one) for one in batch]

    def loss() -> Tensor:
        encoded = model(torch.cat(batch), Segments.of_lengths(lengths))
        return encoded.x.square().sum()

    return stepping(model, loss, precision, device)


def theirs(
    mix: tuple[int, int, int], precision: Precision, bucketed: bool, device: torch.device
) -> Step:
    """The same samples, padded."""
    return padding.training_step(samples(*mix), DEPTH, HEADS, precision, bucketed, device)


def contest(name: str, mix: tuple[int, int, int]) -> Contest:
    """Everybody on one mix of lengths."""
    ways = {"padded, mask": False, "sorted into buckets": True}
    count, shortest, longest = mix
    return Contest(
        f"ragged-{name}",
        f"{count} samples of {shortest} to {longest} tokens, encoder {WIDTH} x {DEPTH}",
        "samples",
        count,
        {
            f"{who} {precision}": entrant
            for precision in ("fp32", "bf16")
            for who, entrant in {
                "anymae": Entrant(
                    partial(ours, mix, precision),
                    precision,
                    tuple(f"{way} {precision}" for way in ways),
                ),
                **{
                    way: Entrant(partial(theirs, mix, precision, bucketed), precision, peer="torch")
                    for way, bucketed in ways.items()
                },
            }.items()
        },
    )


CONTESTS = tuple(contest(name, mix) for name, mix in MIXES.items())
