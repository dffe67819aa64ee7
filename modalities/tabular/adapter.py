"""The tabular adapter: a token for every cell that is not missing.

Columns are numeric or categorical, inferred from the data or named by the user, and matched by
name. A missing cell is no token.

Shapes: B rows, C columns, T cells, F slots (the most categories of a column and one, or 1), A asked
cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from anymae.adapter import Adapter
from anymae.errors import BadConfig, BadInput, unknown_name
from anymae.kernels.segments import Segments
from anymae.losses import Loss
from anymae.modalities.tabular.columns import Column, Kind, learned
from anymae.modalities.tabular.layers import CellEmbedding, CellHead, log_shares
from anymae.modalities.tabular.natives import as_table, labels_of
from anymae.modalities.tabular.pictures import draw_row
from anymae.modalities.tabular.refill import refilled
from anymae.modalities.tabular.tables import Rows, Table, Without, of_samples
from anymae.registry import recipe as recipe_named
from anymae.registry import register
from anymae.tokens import OBSERVED, Packed, Tokens

CHOICE = "choice"
"""The ``side`` entry (n,) bool of cells that are one of several categories."""


@register
class TabularAdapter(Adapter):
    """Rows of a table.

    ``types`` says what a column is where the data would mislead, e.g. ``{"zip": "categorical"}``;
    ``label`` names the column that evaluations predict and ``ignore`` columns to leave out; neither
    becomes a token. ``numbers_as="quantile"`` turns numbers to normal scores instead of
    standardising them. ``bins`` is how many pieces the embedding of a number has. A column keeps
    its ``max_categories`` most frequent categories; all others count as one. ``missing`` are the
    words that say so in csv files. Files of more than ``memory_bytes`` are not read into memory.
    ``columns`` is learned by ``fit``.
    """

    name: ClassVar[str] = "tabular"
    fit_samples: ClassVar[int] = 100_000

    types: Mapping[str, Kind] = Field(default_factory=dict)
    label: str | None = None
    ignore: tuple[str, ...] = ()
    numbers_as: Literal["standard", "quantile"] = "standard"
    bins: int = Field(default=64, ge=2)
    max_categories: int = Field(default=128, ge=1)
    missing: tuple[str, ...] = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
    memory_bytes: int = Field(default=10**9, ge=0)
    columns: tuple[Column, ...] | None = None

    @property
    def token_dim(self) -> int:
        return max(column.slots for column in self._columns)

    @property
    def coord_dim(self) -> int:
        return 1

    def example(self, seed: int) -> dict[str, Any]:
        """A customer with some of its five cells missing, but never all."""
        draw = np.random.default_rng(seed)
        rich = float(draw.normal())
        row = {
            "age": int(draw.integers(18, 80)),
            "income": float(np.exp(10 + 0.5 * rich)),
            "plan": "gold" if rich + draw.normal(scale=0.3) > 0 else "basic",
            "city": str(draw.choice(["Lyon", "Oslo", "Quito"])),
            "active": bool(draw.random() < 0.5),
        }
        kept = str(draw.choice(list(row)))
        return {k: v if k == kept or draw.random() < 0.8 else None for k, v in row.items()}

    # -- data -------------------------------------------------------------------------------

    def native(self, dataset: Any) -> Sequence[Any] | tuple[Sequence[Any], Any] | None:
        table = as_table(dataset, self.missing, self.memory_bytes)
        if table is None:
            return None
        if self.label is None or self.label not in table.names:
            return Rows(table)
        return Rows(table), labels_of(table.column(self.label))

    def native_labelled(self, dataset: Any, name: str) -> tuple[Sequence[Any], Any]:
        """A column of a table as labels; it must not be one that the model reads."""
        table = as_table(dataset, self.missing, self.memory_bytes)
        if table is None or name not in table.names:
            raise unknown_name("column", name, () if table is None else table.names)
        if self.columns is not None and name in [column.name for column in self.columns]:
            raise BadInput(
                "the label is a column that the model reads",
                found=repr(name),
                hint=f"Pretrain with modality_options={{'label': {name!r}}}.",
            )
        return Rows(Without(table, name)), labels_of(table.column(name))

    def fit(self, samples: Iterable[Any]) -> Self:
        table = of_samples(samples)
        if not len(table):
            raise BadInput("there is no row to learn from", found="0 samples")
        names = [name for name in table.names if name not in self._left_out]
        if not names:
            raise BadInput("there is no column to learn from", found=", ".join(table.names))
        if self.columns is not None:
            names = [column.name for column in self.columns]
            self._refuse_other(table)
        for name in {*self.types, *self.ignore} - set(table.names):
            raise unknown_name("column", name, table.names).at("modality_options")
        try:
            return self.model_copy(update={"columns": tuple(self._learned(table, names))})
        except BadInput as error:
            if len(table.files) == 1:
                raise error.at(table.files[0][0]) from None
            raise

    def _learned(self, table: Table, names: Sequence[str]) -> Iterable[Column]:
        for name, cells in table.gather(np.arange(len(table)), names).items():
            yield learned(
                name,
                cells,
                self.types.get(name),
                normal_scores=self.numbers_as == "quantile",
                bins=self.bins,
                max_categories=self.max_categories,
            )

    def tokenize(self, sample: Any) -> Tokens:
        return self.batch_tokenize([sample]).split()[0]

    def batch_tokenize(self, samples: Sequence[Any], device: torch.device | str = "cpu") -> Packed:
        table = of_samples(samples)
        self._refuse_other(table)
        cells = self._encoded(table)  # (B, C)
        rows, columns = np.nonzero(~np.isnan(cells))
        lengths = np.bincount(rows, minlength=len(cells))
        if (lengths == 0).any():
            raise BadInput("a row in which every cell is missing")
        found = torch.from_numpy(cells[rows, columns]).to(device)
        coords = torch.from_numpy(columns)[:, None].to(device)
        return self._packed(found, coords, Segments.of_lengths(lengths.tolist()))

    def _packed(self, cells: Tensor, coords: Tensor, segments: Segments) -> Packed:
        """Cells (T,) of the columns ``coords`` (T, 1) as tokens: a number in the first slot, a
        one in a category's."""
        observed, choice = self._side(coords)
        slot = torch.where(choice, cells, 0.0).long()
        values = torch.zeros(len(cells), self.token_dim, device=cells.device)
        values.scatter_(1, slot[:, None], torch.where(choice, 1.0, cells).float()[:, None])
        return Packed(values, coords, segments, {OBSERVED: observed, CHOICE: choice})

    def _side(self, coords: Tensor) -> tuple[Tensor, Tensor]:
        """(T, F) the slots that each cell's column has, and (T,) whether it is categorical."""
        slots = torch.tensor([column.slots for column in self._columns], device=coords.device)
        choice = torch.tensor(self._choices, device=coords.device)
        column = coords[:, 0]
        places = torch.arange(self.token_dim, device=coords.device)
        return places < slots[column][:, None], choice[column]

    def untokenize(self, tokens: Tokens) -> dict[str, Any]:
        """A value for every column as the data hold it: None where the cell is missing, NaN where
        it is hidden."""
        row: dict[str, Any] = {column.name: None for column in self._columns}
        for place, values in zip(tokens.coords[:, 0].tolist(), tokens.values.cpu(), strict=True):
            column = self._columns[place]
            if bool(values[0].isnan()):
                row[column.name] = float("nan")
            elif column.kind == "numeric":
                row[column.name] = column.decode_number(float(values[0]))
            else:
                row[column.name] = column.decode_place(int(values[: column.slots].argmax()))
        return row

    def raw_features(self, tokens: Tokens) -> Tensor:
        """Standardised numbers and one-hot categories of all columns, and whether each is there;
        what is missing is 0."""
        starts = torch.tensor([0, *(column.slots for column in self._columns)]).cumsum(0)
        vector = torch.zeros(int(starts[-1]) + len(self._columns))
        columns = tokens.coords[:, 0]
        token, slot = tokens.side[OBSERVED].nonzero(as_tuple=True)
        vector[starts[columns[token]] + slot] = tokens.values[token, slot]
        vector[starts[-1] + columns] = 1.0
        return vector

    # -- model ------------------------------------------------------------------------------

    def numbers(self, recipe: str) -> Mapping[str, Any]:
        own: dict[str, Any] = {}
        if self.columns is not None:
            own["position"] = {"kind": "table", "shape": [len(self.columns)]}
        if recipe_named(recipe).target.kind == "content":
            own["target.normalise"] = "none"  # a cell is one number, or one of several categories
        if recipe == "mae":
            own["mask.ratio"] = 0.5
        if recipe == "simmim":
            own |= {"mask.groups": "each"}
        return own

    def embed(self, width: int) -> nn.Module:
        return CellEmbedding(self._columns, width)

    def head(self, width: int, out: int) -> nn.Module:
        return CellHead(self._columns, width) if out == self.token_dim else super().head(width, out)

    def content_loss(self, loss: Loss, prediction: Tensor, target: Tensor, asked: Packed) -> Tensor:
        """The recipe's loss for numbers, cross entropy for categories."""
        observed, choice = asked.side[OBSERVED], asked.side[CHOICE]
        surprise = -(target * log_shares(prediction, observed)).sum(1)
        distance = super().content_loss(loss, prediction, target, asked)
        return torch.where(choice, surprise, distance)

    def as_content(self, prediction: Tensor, asked: Packed) -> Tensor:
        """Numbers as they are, probabilities of categories from their logits. Where the data had no
        others than the known categories, neither has an answer."""
        observed, choice = asked.side[OBSERVED], asked.side[CHOICE]
        sayable = torch.tensor(
            [c.slots - (c.kind == "categorical" and not c.others) for c in self._columns],
            device=observed.device,
        )[asked.coords[:, 0]]
        places = torch.arange(self.token_dim, device=observed.device)
        sayable = observed & (places < sayable[:, None])
        shares = log_shares(prediction, sayable).exp() * sayable
        return torch.where(choice[:, None], shares, prediction.float())

    def as_prediction(self, content: Tensor, asked: Packed) -> Tensor:
        logits = content.float().clamp(min=1e-6).log()
        return torch.where(asked.side[CHOICE][:, None], logits, content)

    # -- missing cells, pictures ------------------------------------------------------------

    def blanks(self, tokens: Tokens) -> Tokens:
        """The missing cells of a row as tokens without content."""
        absent = sorted({*range(len(self._columns))} - {*tokens.coords[:, 0].tolist()})
        coords = torch.tensor(absent, dtype=tokens.coords.dtype, device=tokens.coords.device)[
            :, None
        ]
        observed, choice = self._side(coords)
        values = tokens.values.new_zeros(len(absent), self.token_dim)
        return Tokens(values, coords, {OBSERVED: observed, CHOICE: choice})

    def refill(self, dataset: Any, samples: Sequence[Mapping[str, Any]]) -> Any:
        """A data set with its missing cells taken from rows as ``untokenize`` gives them: a
        DataFrame or table of the same kind, or a list of rows. Other cells, the label and columns
        that are ignored stay as they are."""
        return refilled(dataset, samples)

    def draw(self, axes: Any, sample: Mapping[str, Any]) -> None:
        """The row as a list of names and values; missing cells are dashes, hidden ones hatched."""
        draw_row(axes, sample)

    # -- details ----------------------------------------------------------------------------

    @property
    def _columns(self) -> tuple[Column, ...]:
        if self.columns is None:
            raise BadConfig(
                "the tabular adapter does not know its columns yet",
                hint="Call adapter.fit(samples).",
            )
        return self.columns

    @property
    def _choices(self) -> list[bool]:
        return [column.kind == "categorical" for column in self._columns]

    @property
    def _left_out(self) -> set[str]:
        return {*self.ignore, *(() if self.label is None else (self.label,))}

    def _refuse_other(self, table: Table) -> None:
        """Raise ``BadInput`` for a column that is unknown. One that a table lacks is refused as
        well: to leave it out silently would be to say that it is missing everywhere."""
        known = {column.name for column in self._columns}
        unknown = [name for name in table.names if name not in known | self._left_out]
        if unknown:
            raise BadInput(
                "a column that was not there in training",
                where=f"column {unknown[0]!r}",
                found=f"columns {', '.join(map(repr, table.names))}",
                expected=", ".join(map(repr, sorted(known))),
                hint="Drop it, or name it in modality_options label or ignore.",
            )
        lacking = [name for name in sorted(known) if name not in table.names]
        if lacking and not table.partial:
            raise BadInput(
                "a column of the training data is not there",
                where=f"column {lacking[0]!r}",
                found=f"columns {', '.join(map(repr, table.names))}",
                hint="Add it, empty, if its values are unknown.",
            )

    def _encoded(self, table: Table) -> np.ndarray:
        """(B, C) cells as numbers and places of categories, NaN where missing."""
        there = set(table.names)
        names = [column.name for column in self._columns if column.name in there]
        cells = table.gather(np.arange(len(table)), names)
        encoded = np.full((len(table), len(self._columns)), np.nan)
        for i, column in enumerate(self._columns):
            if column.name in cells:
                encoded[:, i] = column.encode(cells[column.name])
        return encoded
