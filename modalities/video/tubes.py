"""Tubes: clips as boxes of t frames x p rows x q columns, and back.

Shapes: B clips of T frames, H rows, W columns, C channels; n tubes a clip.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor, nn

from anymae.tokens import OBSERVED, Packed

Tube = tuple[int, int, int]


def cut(clips: Tensor, tube: Tube) -> Tensor:
    """(B, T, H, W, C) to (B n, t p q C), ordered by time, row and column; channels vary fastest.
    Where T is no multiple of t the last tubes end in zeros."""
    t, p, q = tube
    if missing := -clips.shape[1] % t:
        clips = F.pad(clips, (0, 0, 0, 0, 0, 0, 0, missing))
    return rearrange(
        clips, "b (n t) (h p) (w q) c -> (b n h w) (t p q c)", t=t, p=p, q=q
    ).contiguous()


def joined(values: Tensor, grid: tuple[int, int, int], tube: Tube) -> Tensor:
    """(n, t p q C) in the order of ``cut`` to (T, H, W, C)."""
    (n, h, w), (t, p, q) = grid, tube
    return rearrange(
        values, "(n h w) (t p q c) -> (n t) (h p) (w q) c", n=n, h=h, w=w, t=t, p=p, q=q
    )


def known(frames: int, grid: tuple[int, int, int], tube: Tube) -> Tensor:
    """(n, t) bool: which frames of its tokens a clip has."""
    (n, h, w), t = grid, tube[0]
    there = torch.arange(n * t) < frames
    return repeat(there, "(n t) -> (n h w) t", t=t, h=h, w=w)


def motion(clips: Tensor, tube: Tube) -> Tensor:
    """(B n,) mean absolute difference between each frame of a tube and the frame before; the
    first frame of a clip counts as its second, and a clip of one frame does not move."""
    _, p, q = tube
    change = clips.new_zeros(clips.shape[:4])
    if clips.shape[1] > 1:
        change[:, 1:] = (clips[:, 1:] - clips[:, :-1]).abs().mean(-1)
        change[:, 0] = change[:, 1]
    there = torch.ones_like(change[:1, :, :1, :1]).expand(1, -1, p, q)
    total = cut(change[..., None], tube).sum(1).view(len(clips), -1)
    count = cut(there[..., None], tube).sum(1)
    cells = clips.shape[2] // p * (clips.shape[3] // q)
    return (total / count.repeat_interleave(cells)).flatten()


@lru_cache(maxsize=64)
def places(grid: tuple[int, int, int]) -> Tensor:
    """(n, 3) int64: time, row and column of each tube, in the order of ``cut``."""
    return torch.cartesian_prod(*(torch.arange(size) for size in grid)).view(-1, 3)


class PartialTubeEmbedding(nn.Module):
    """A linear map of a tube's known numbers, plus a learned vector for each frame it lacks.

    ``forward(packed)`` gives (T, width).
    """

    def __init__(self, token_dim: int, frames: int, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(token_dim, width)
        self.lacks = nn.Linear(frames, width, bias=False)

    def forward(self, visible: Packed) -> Tensor:
        observed = visible.side[OBSERVED]
        frames = observed.unflatten(1, (self.lacks.in_features, -1))[:, :, 0]
        values = visible.values * observed
        return self.project(values) + self.lacks((~frames).to(values.dtype))
