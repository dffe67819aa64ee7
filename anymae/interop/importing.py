"""Import: a foreign checkpoint becomes an anymae model, whole or not at all, with a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from anymae.errors import CheckpointError
from anymae.interop.anatomy import Anatomy, anatomy_of, grid_of
from anymae.interop.building import Given, build, fill
from anymae.interop.checkpoints import ACCEPTED, Checkpoint, open_checkpoint
from anymae.interop.facts import Facts
from anymae.interop.naming import Naming, naming_of
from anymae.interop.placing import placed, wanted_places
from anymae.interop.report import LoadReport
from anymae.interop.rules import refuse_differences, rules_for
from anymae.interop.settings import Settings
from anymae.model import Model
from anymae.storage import write_json


class Imported(NamedTuple):
    """The model, on the CPU and in eval mode, and what became of every tensor."""

    model: Model
    report: LoadReport


def import_checkpoint(
    checkpoint: str | Path | nn.Module,
    out: str | Path | None = None,
    *,
    image_size: int | tuple[int, int] | None = None,
    heads: int | None = None,
    decoder_heads: int | None = None,
    norm_pix: bool | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Imported:
    """An image model with the weights of another project.

    ``checkpoint`` is a facebookresearch/mae ``.pth`` file (with or without decoder), a folder or
    live module of transformers' ViTMAE, or a timm ViT as folder, ``.safetensors`` or ``.pth`` file
    or live module. Nothing in it is run. With ``out`` the model is also saved there, with the
    report as ``load_report.json``.

    The rest says what the source does not, and wins over what it does: ``image_size`` (rows,
    columns) in pixels, numbers of heads, whether it was trained on normalised pixels
    (``norm_pix``; MAE's released pretraining weights were, those for visualisation were not), and
    ``mean`` and ``std`` per channel of images from 0 to 255. What nobody says is in the report
    under ``assumed``. A checkpoint without decoder gets a new, untrained one, which the report
    lists as not filled. The class token's position is folded into the class token.

    Raises ``CheckpointError`` for any tensor that is missing, unknown or of another shape.
    """
    source = open_checkpoint(checkpoint)
    naming = naming_of(source.tensors)
    if naming is None:
        raise CheckpointError(
            "unknown names of tensors",
            where=source.where,
            found=", ".join(sorted(source.tensors)[:5]) or "no tensors",
            expected=ACCEPTED,
        )
    given = Given(
        image_size=(image_size, image_size) if isinstance(image_size, int) else image_size,
        heads=heads,
        decoder_heads=decoder_heads,
        norm_pix=norm_pix,
        mean=None if mean is None else tuple(mean),
        std=None if std is None else tuple(std),
    )
    made = _import(source, naming, given)
    if out is not None:
        folder = made.model.save(out)
        write_json(folder / "load_report.json", made.report.as_dict())
    return made


def _import(source: Checkpoint, naming: Naming, given: Given) -> Imported:
    where, facts = source.where, source.facts
    dropped = {
        name: reason
        for prefix, reason in naming.dropped.items()
        for name in source.tensors
        if name.startswith(prefix)
    }
    tensors = {name: t for name, t in source.tensors.items() if name not in dropped}
    anatomy = anatomy_of(naming, tensors, facts.cls, where)
    _refuse_other_sizes(facts, anatomy, where)
    grid = _grid(naming, anatomy, tensors, given.image_size or facts.image_size, where)
    rules = rules_for(naming, anatomy, facts.qkv_bias)
    wanted = {name: shape for rule in rules for name, shape in rule.sources.items()}
    wanted |= wanted_places(naming, anatomy, grid, tensors)
    refuse_differences(tensors, wanted, where)
    places = placed(naming, anatomy, grid, tensors, where)
    settings = Settings(where)
    model = build(anatomy, grid, places, facts, given, settings)
    unfilled = fill(model, rules, places, tensors, anatomy.decoder is not None)
    used = {name: rule.ours for rule in rules for name in rule.sources} | dict(places.used)
    unused = {**places.unused, **dropped, **source.beside}
    report = LoadReport(facts.layout, where, used, unused, unfilled, settings.assumed)
    return Imported(model.eval(), report)


def _refuse_other_sizes(facts: Facts, anatomy: Anatomy, where: str) -> None:
    for name, size in anatomy.sizes.items():
        if facts.claims.get(name, size) != size:
            raise CheckpointError(
                f"configuration and tensors disagree on the {name}",
                where=where,
                found=f"{size} in the tensors",
                expected=f"{facts.claims[name]}, as configured",
            )


def _grid(
    naming: Naming,
    anatomy: Anatomy,
    tensors: Mapping[str, Tensor],
    image_size: tuple[int, int] | None,
    where: str,
) -> tuple[int, int]:
    table = tensors.get(naming.positions)
    if table is None or table.ndim != 3:
        raise CheckpointError(
            "no position table",
            where=where,
            found="nothing" if table is None else f"shape {tuple(table.shape)}",
            expected=f"{naming.positions} of shape (1, positions, width)",
        )
    return grid_of(anatomy, table.shape[1], image_size, where)
