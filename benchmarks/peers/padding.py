"""Ragged batches as users of plain torch run them: padded with a mask, or sorted and bucketed.

The same pre-norm blocks as anymae's encoder, on samples of 20 to 600 tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from anymae.benchmarks.peers.steps import stepping
from anymae.precision import Precision

SLACK = 1.25
"""Longest over shortest sample in a bucket."""


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), on padded samples (B, L, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """``real`` (B, L) says which tokens are no padding; None: all."""
        split = self.qkv(self.norm_1(x)).unflatten(2, (3, self.heads, -1))
        q, k, v = split.permute(2, 0, 3, 1, 4)
        mask = None if real is None else real[:, None, None]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.project(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm_2(x))


class Encoder(nn.Module):
    """Blocks and a norm; samples come in batches of similar length."""

    def __init__(self, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, samples: Sequence[Tensor]) -> Tensor:
        """The tokens of all samples, one after the other: (T, D)."""
        lengths = torch.tensor([len(one) for one in samples], device=samples[0].device)
        x = pad_sequence(list(samples), batch_first=True)
        real = torch.arange(x.shape[1], device=x.device)[None] < lengths[:, None]
        mask = None if bool(real.all()) else real
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x)[real]


def buckets(samples: Sequence[Tensor]) -> list[list[Tensor]]:
    """Samples sorted by length, in groups padded by at most a quarter."""
    groups: list[list[Tensor]] = []
    for sample in sorted(samples, key=len):
        if groups and len(sample) <= SLACK * len(groups[-1][0]):
            groups[-1].append(sample)
        else:
            groups.append([sample])
    return groups


def training_step(
    samples: Sequence[Tensor],
    depth: int,
    heads: int,
    precision: Precision,
    bucketed: bool,
    device: torch.device,
) -> Callable[[], None]:
    """Forward and backward passes over ``samples`` (L_i, D), and a step of AdamW."""
    torch.manual_seed(0)
    model = Encoder(samples[0].shape[1], depth, heads)
    samples = [sample.to(device) for sample in samples]
    groups = buckets(samples) if bucketed else [samples]

    def loss() -> Tensor:
        return torch.stack([model(group).square().sum() for group in groups]).sum()

    return stepping(model, loss, precision, device)
