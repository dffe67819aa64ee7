"""Corruptions that give hidden tokens other content, and the base of all that do.

Shapes: H hidden, T tokens, F numbers a token, C channels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from anymae import draws
from anymae.corruption.corruption import Corruption, Input
from anymae.kernels import ragged
from anymae.masks import Roles
from anymae.tokens import OBSERVED, Packed


class Alter(Corruption):
    """Hidden tokens enter the encoder with other content, and nothing says which they are."""

    @property
    def keeps_hidden(self) -> bool:
        return True

    def build(self, width: int) -> nn.Module:
        return _Altered()


class Replace(Alter, kind="replace"):
    """Hidden tokens enter with content that is not theirs, and nothing says which they are.

    ``by="zeros"`` and ``"noise"`` (of the batch's own mean and deviation, number by number) make
    it up; ``"other"`` takes it from a random token anywhere in the batch, ``"place"`` from the
    token at the same place of the next sample, or any if it has none there (VIME's and SCARF's
    draw from the marginal of a column; GMML's other image). Draws are functions of keys, but
    content then depends on who else is in the batch.
    """

    by: Literal["zeros", "noise", "other", "place"] = "noise"

    def values(self, packed: Packed, roles: Roles, shape: tuple[int, ...] = ()) -> Packed:
        hide = roles.hide
        side = dict(packed.side)
        values = packed.values.clone()
        if self.by in ("other", "place"):
            source = self._donors(packed, hide)
            values[hide] = packed.values[source]
            for name, tensor in packed.side.items():
                side[name] = tensor.index_copy(0, hide, tensor[source])
        else:
            values[hide] = self._made_up(packed, roles)
        return replace(packed, values=values, side=side, views=1)

    def _made_up(self, packed: Packed, roles: Roles) -> Tensor:
        seen = packed.values[roles.see]
        like = packed.values[roles.hide]
        if self.by == "zeros":
            return torch.zeros_like(like)
        owner = packed.segments.ids(packed.device)[roles.hide]
        keys = packed.drawing_keys[owner][:, None]
        width = torch.arange(like.shape[1], device=like.device)
        place = packed.segments.within(packed.device)[roles.hide][:, None] * like.shape[1] + width
        coin = draws.normal(keys, place, "corruption/noise").to(like.dtype)
        return seen.mean(0) + seen.std(0, correction=0) * coin

    def _donors(self, packed: Packed, hide: Tensor) -> Tensor:
        """(H,) the packed token whose content each hidden one gets."""
        owner = packed.segments.ids(packed.device)
        within = packed.segments.within(packed.device)
        coin = draws.uniform(packed.drawing_keys[owner[hide]], within[hide], "corruption/donor")
        anyone = (coin * packed.segments.total).long().clamp(max=packed.segments.total - 1)
        if self.by == "other":
            return anyone
        after = (owner[hide] + 1) % len(packed)
        lengths = packed.segments.lengths.to(packed.device)
        starts = packed.offsets[:-1].to(packed.device)
        there = starts[after] + within[hide].clamp(max=lengths[after] - 1)
        same = (packed.coords[there] == packed.coords[hide]).all(1)
        return torch.where(same, there, anyone)


class Noise(Alter, kind="noise"):
    """Hidden tokens enter with Gaussian noise on their known numbers, of one of ``deviations`` that
    is drawn for each sample, in the units of the tokens (denoising autoencoders, Vincent et al.
    2008)."""

    deviations: tuple[PositiveFloat, ...] = Field(default=(0.5,), min_length=1)

    def values(self, packed: Packed, roles: Roles, shape: tuple[int, ...] = ()) -> Packed:
        hide = roles.hide
        owner = packed.segments.ids(packed.device)[hide]
        place = packed.segments.within(packed.device)[hide]
        zero = torch.zeros(len(packed), dtype=torch.int64, device=packed.device)
        level = draws.uniform(packed.drawing_keys, zero, "corruption/level")
        deviations = torch.tensor(self.deviations, device=packed.device)
        deviation = deviations[(level * len(deviations)).long()][owner, None]
        width = packed.values.shape[1]
        number = place[:, None] * width + torch.arange(width, device=packed.device)
        noise = draws.normal(packed.drawing_keys[owner, None], number, "corruption/noise")
        return _changed(packed, hide, packed.values[hide] + (deviation * noise))


class Quantise(Alter, kind="quantise"):
    """Hidden tokens enter coarsely: the range of each channel of a sample is cut at ``bins`` - 1
    random places, and a known number becomes a random one of its bin, the same for the whole bin
    (randomized quantization, Wu et al. 2023).

    A channel is a place on the last axis of a token's shape, such as a colour or a coordinate.
    """

    bins: int = Field(default=8, ge=2)

    def values(self, packed: Packed, roles: Roles, shape: tuple[int, ...] = ()) -> Packed:
        channels = shape[-1] if shape else packed.values.shape[1]
        edges = self._edges(packed, channels)
        number = torch.arange(channels * self.bins, device=packed.device).view(channels, self.bins)
        coin = draws.uniform(packed.drawing_keys[:, None, None], number, "quantise/value")
        said = edges[..., :-1] + coin * edges.diff(dim=-1)
        owner = packed.segments.ids(packed.device)[roles.hide]
        hidden = packed.values[roles.hide].unflatten(1, (-1, channels))
        which = torch.zeros(hidden.shape, dtype=torch.int64, device=packed.device)
        for cut in edges[..., 1:-1].unbind(-1):
            which += hidden >= cut[owner, None]
        coarse = said[owner].transpose(1, 2).gather(1, which)
        return _changed(packed, roles.hide, coarse.flatten(1))

    def _edges(self, packed: Packed, channels: int) -> Tensor:
        """(B, C, bins + 1) where the bins of each sample's channels begin and end, ascending."""
        low, high = _ranges(packed, channels)
        number = torch.arange(channels * (self.bins - 1), device=packed.device)
        coin = draws.uniform(packed.drawing_keys[:, None], number, "quantise/edge")
        cuts = coin.view(len(packed), channels, -1).sort(-1).values
        cuts = F.pad(F.pad(cuts, (1, 0), value=0.0), (0, 1), value=1.0)
        return torch.lerp(low[..., None], high[..., None], cuts)


def _ranges(packed: Packed, channels: int) -> tuple[Tensor, Tensor]:
    """The least and largest known number of each channel of each sample, (B, C) each; 0 where a
    sample knows none."""
    observed = packed.side.get(OBSERVED, torch.ones_like(packed.values, dtype=torch.bool))
    found = []
    for sign in (-1.0, 1.0):
        known = (sign * packed.values.float()).masked_fill(~observed, float("-inf"))
        most = ragged.maximum(known.unflatten(1, (-1, channels)).amax(1), packed.segments)
        found.append(sign * most.masked_fill(most.isinf(), 0.0))
    return found[0], found[1]


def _changed(packed: Packed, rows: Tensor, content: Tensor) -> Packed:
    """The batch with other ``content`` at ``rows`` where numbers are known."""
    values = packed.values.clone()
    content = content.to(values.dtype)
    observed = packed.side.get(OBSERVED)
    if observed is not None:
        content = torch.where(observed[rows], content, values[rows])
    values[rows] = content
    return replace(packed, values=values, views=1)


class _Altered(nn.Module):
    def forward(self, everything: Tensor, hidden_positions: None, roles: Roles) -> Input:
        index = torch.arange(len(everything), device=everything.device)
        return Input(everything, roles.of_all, index, roles.ask, roles.see)
