"""Layers: how cells become vectors, and vectors predictions of cells, each column in its own way.

Shapes: T cells, A asked cells, C columns, N numeric columns, K knots, S categories in all, F slots
a cell, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from anymae.modalities.tabular.columns import Column
from anymae.tokens import OBSERVED, Packed


class CellEmbedding(nn.Module):
    """``forward(visible)`` gives (T, D).

    A category has a vector of its own; one that training never saw starts, and stays, as zeros. A
    number lies on a learned line through one vector a knot of its column, which is a linear map of
    its piecewise-linear encoding (Gorishniy et al. 2022): a vector is the sum of the steps up to
    it. Beyond the outermost knots the line stays where it is.
    """

    def __init__(self, columns: Sequence[Column], width: int) -> None:
        super().__init__()
        numeric = [column for column in columns if column.kind == "numeric"]
        longest = max([len(column.knots) for column in numeric] + [2])
        knots = torch.full((len(columns), longest), float("inf"))
        first, vectors = [], []
        row, start = 0, len(numeric) * longest
        for i, column in enumerate(columns):
            if column.kind == "numeric":
                places = column.standardised(np.array(column.knots, dtype=np.float64))
                knots[i, : len(places)] = torch.from_numpy(places)
                first.append(row)
                row += longest
            else:
                first.append(start)
                start += column.slots
                known = torch.randn(column.slots - 1, width) * 0.1
                vectors.append(torch.cat([known, torch.zeros(1, width)]))
        steps = torch.randn(len(numeric), longest, width) * 0.1
        steps[:, 1:] *= longest**-0.5  # a line about as long as a vector, whatever its steps
        self.steps = nn.Parameter(steps) if numeric else None
        self.categories = nn.Parameter(torch.cat(vectors)) if vectors else None
        self.knots: Tensor
        self.first: Tensor
        self.register_buffer("knots", knots, persistent=False)
        self.register_buffer("first", torch.tensor(first), persistent=False)

    def forward(self, visible: Packed) -> Tensor:
        column = visible.coords[:, 0].long()
        lines = [] if self.steps is None else [self.steps.cumsum(1).flatten(0, 1)]
        table = torch.cat(lines + ([] if self.categories is None else [self.categories]))
        choice = visible.side["choice"]
        values = visible.values.masked_fill(~visible.side[OBSERVED], 0.0)
        weight, place = values.topk(min(2, values.shape[1]), dim=1)
        if place.shape[1] < 2:
            weight, place = weight.expand(-1, 2), place.expand(-1, 2)
        low, share = self._between(values[:, 0], column)
        first = torch.where(choice, place[:, 0], low)
        second = torch.where(choice, place[:, 1], low + 1)
        share = torch.where(choice, weight[:, 1] / weight.sum(1).clamp(min=1e-6), share)
        start = self.first[column]
        second = torch.minimum(start + second, torch.full_like(start, len(table) - 1))
        return torch.lerp(table[start + first], table[second], share[:, None])

    def _between(self, value: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
        """(T,) the knot below a number, and how far it is on the way to the next, 0 to 1."""
        knots = self.knots[column]
        low = ((value[:, None] >= knots).sum(1) - 1).clamp(0, knots.shape[1] - 2)
        left, right = (knots.gather(1, i[:, None])[:, 0] for i in (low, low + 1))
        share = ((value - left) / (right - left)).clamp(0, 1)
        return low, torch.where(torch.isfinite(right), share, torch.zeros_like(share))


class CellHead(nn.Module):
    """``forward(x (A, D), coords (A, 1))`` gives (A, F): a number in the first slot, or a logit a
    category; 0 in slots that a column does not have."""

    def __init__(self, columns: Sequence[Column], width: int) -> None:
        super().__init__()
        slots = max(column.slots for column in columns)
        numeric = sum(column.kind == "numeric" for column in columns)
        total = sum(column.slots for column in columns if column.kind == "categorical")
        place = torch.zeros(len(columns), slots, dtype=torch.int64)  # place 0 holds a zero
        row, start, rows = 0, 2, []
        for i, column in enumerate(columns):
            rows.append(row)
            if column.kind == "numeric":
                place[i, 0] = 1
                row = min(row + 1, numeric - 1)
            else:
                place[i, : column.slots] = torch.arange(start, start + column.slots)
                start += column.slots
        self.weight = nn.Parameter(torch.randn(numeric, width) * 0.02) if numeric else None
        self.bias = nn.Parameter(torch.zeros(numeric)) if numeric else None
        self.categories = nn.Linear(width, total) if total else None
        self.place: Tensor
        self.row: Tensor
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("row", torch.tensor(rows), persistent=False)

    def forward(self, x: Tensor, coords: Tensor) -> Tensor:
        column = coords[:, 0].long()
        every = [x.new_zeros(len(x), 2, dtype=torch.float32)]
        if self.weight is not None and self.bias is not None:
            row = self.row[column]
            number = (x.float() * self.weight[row]).sum(1) + self.bias[row]
            every = [torch.stack([torch.zeros_like(number), number], 1)]
        if self.categories is not None:
            every.append(self.categories(x).float())
        return torch.cat(every, 1).gather(1, self.place[column])


def log_shares(logits: Tensor, observed: Tensor) -> Tensor:
    """(A, F) log-probabilities over the slots that a cell has, and 0 in all others."""
    logits = logits.float().masked_fill(~observed, float("-inf"))
    return logits.log_softmax(1).masked_fill(~observed, 0.0)
