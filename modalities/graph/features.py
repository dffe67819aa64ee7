"""Features: the numbers of nodes or edges as what a model reads, and back.

Shapes: n rows (nodes, or edges), C columns as the data has them, F numbers a token.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, PositiveFloat
from torch import Tensor

Kind = Literal["standardise", "centre", "keep", "one-hot", "degree"]


class Features(BaseModel):
    """How C columns become F numbers.

    - ``standardise``: (x - ``mean``) / ``std``, column by column;
    - ``centre``: x - ``mean``: rare features are not blown up, and what all nodes share cannot be
      the whole answer (0 and 1, bags of words);
    - ``keep``: as they are;
    - ``one-hot``: each column's ``codes``, and a last place for any other;
    - ``degree``: one-hot too, of the number of edges that enter a node, ``codes`` 0 to the cap,
      where the last place stands for more.

    With ``missing``, NaN means that a number is not known; without, it is refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Kind
    columns: int
    missing: bool = False
    mean: tuple[float, ...] = ()
    std: tuple[PositiveFloat, ...] = ()
    codes: tuple[tuple[int, ...], ...] = ()

    @property
    def dim(self) -> int:
        """F."""
        if self.codes:
            return sum(len(column) + 1 for column in self.codes)
        return self.columns

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """(n, F) float32, and (n, F) bool of what is known if anything may be missing; what is not
        is 0."""
        known = ~x.isnan()
        if self.codes:
            parts = [self._one_hot(x[:, c], codes) for c, codes in enumerate(self.codes)]
            values = torch.cat(parts, 1)
            sizes = torch.tensor([part.shape[1] for part in parts], device=x.device)
            known = known.repeat_interleave(sizes, 1) if self.missing else known
        elif self.mean:
            mean, std = self._moments(x.device)
            values = ((x.double() - mean) / std).float()
        else:
            values = x.float()
        return (values.where(known, 0.0), known) if self.missing else (values, None)

    def decode(self, values: Tensor) -> Tensor:
        """(n, C) in the data's own numbers: codes where they are categories (-1 for any other, the
        cap for a degree above it); NaN stays NaN."""
        if self.codes:
            cuts = values.split([len(column) + 1 for column in self.codes], 1)
            found = [self._code(v, c) for v, c in zip(cuts, self.codes, strict=True)]
            return torch.stack(found, 1)
        if self.mean:
            mean, std = self._moments(values.device)
            return (values.double() * std + mean).float()
        return values

    def _moments(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each column, in double: what is far from 0 keeps its digits."""
        both = torch.tensor([self.mean, self.std], dtype=torch.float64, device=device)
        return both[0], both[1]

    def _one_hot(self, column: Tensor, codes: tuple[int, ...]) -> Tensor:
        known = torch.tensor(codes, device=column.device)
        place = torch.searchsorted(known, column.nan_to_num().long()).clamp(max=len(codes) - 1)
        other = known[place] != column
        return torch.nn.functional.one_hot(place.where(~other, len(codes)), len(codes) + 1).float()

    def _code(self, values: Tensor, codes: tuple[int, ...]) -> Tensor:
        other = codes[-1] + 1 if self.kind == "degree" else -1
        code = torch.tensor([*codes, other], dtype=torch.float32)[values.nan_to_num(-1).argmax(1)]
        return code.where(~values.isnan().any(1), float("nan"))
