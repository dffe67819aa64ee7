"""The sizes of a vision transformer, read from the shapes of its tensors.

Shapes: D width, C channels, p and q the patch's height and width, N patches, R leading tokens.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from anymae.errors import CheckpointError
from anymae.interop.naming import Naming


@dataclass(frozen=True)
class Stack:
    """Transformer blocks: their width, number, and the hidden width of their MLPs."""

    width: int
    depth: int
    hidden: int

    @property
    def mlp_ratio(self) -> float:
        """The ratio of which ``int(width * ratio)`` is exactly ``hidden``."""
        ratio = self.hidden / self.width
        return ratio if int(self.width * ratio) == self.hidden else math.nextafter(ratio, math.inf)


@dataclass(frozen=True)
class Anatomy:
    """Sizes of encoder, decoder (None where there is none) and patches (p, q)."""

    encoder: Stack
    decoder: Stack | None
    patch: tuple[int, int]
    channels: int
    cls: bool
    registers: int

    @property
    def lead(self) -> int:
        """R: class token and registers."""
        return int(self.cls) + self.registers

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes that a configuration may also claim, by name."""
        found = {
            "width": self.encoder.width,
            "depth": self.encoder.depth,
            "mlp width": self.encoder.hidden,
            "channels": self.channels,
            "patch height": self.patch[0],
            "patch width": self.patch[1],
        }
        if self.decoder is not None:
            found |= {
                "decoder width": self.decoder.width,
                "decoder depth": self.decoder.depth,
                "decoder mlp width": self.decoder.hidden,
            }
        return found


def anatomy_of(naming: Naming, tensors: Mapping[str, Tensor], cls: bool, where: str) -> Anatomy:
    """Sizes, as far as the tensors that are there show them: what is missing or does not fit is
    found when every shape is compared. Raises ``CheckpointError``."""
    patches = tensors[f"{naming.patch}.weight"]
    if patches.ndim != 4 or 0 in patches.shape:
        raise CheckpointError(
            f"{naming.patch}.weight is not a patch projection",
            where=where,
            found=tuple(patches.shape),
            expected="(width, channels, patch height, patch width)",
        )
    width, channels, p, q = patches.shape
    decoder = None
    if any(name.startswith(naming.of_decoder) for name in tensors):
        embed = tensors.get(f"{naming.decoder_embed}.weight")
        if embed is None or embed.ndim != 2 or 0 in embed.shape:
            raise CheckpointError(
                "a part of the decoder is missing",
                where=where,
                expected=f"{naming.decoder_embed}.weight",
            )
        decoder = _stack(naming, tensors, naming.decoder_blocks, len(embed), where)
    registers = tensors.get(naming.registers)
    return Anatomy(
        encoder=_stack(naming, tensors, naming.blocks, width, where),
        decoder=decoder,
        patch=(p, q),
        channels=channels,
        cls=cls,
        registers=registers.shape[1] if registers is not None and registers.ndim == 3 else 0,
    )


def _stack(
    naming: Naming, tensors: Mapping[str, Tensor], blocks: str, width: int, where: str
) -> Stack:
    pattern = re.compile(re.escape(blocks) + r"\.(\d+)\.")
    depth = len({found[1] for name in tensors if (found := pattern.match(name))})
    if depth == 0:
        raise CheckpointError(
            "no transformer blocks", where=where, expected=f"{blocks}.0 and so on"
        )
    first = tensors.get(f"{blocks}.0.{naming.layer['mlp.0'][0]}.weight")
    return Stack(width, depth, len(first) if first is not None and first.ndim == 2 else 4 * width)


def grid_of(
    anatomy: Anatomy, rows: int, image_size: tuple[int, int] | None, where: str
) -> tuple[int, int]:
    """Rows and columns of patches for a position table with ``rows`` rows, the leading tokens
    included or not. Without an image size the grid is square. Raises ``CheckpointError``."""
    if image_size is not None:
        grid = (image_size[0] // anatomy.patch[0], image_size[1] // anatomy.patch[1])
        if rows - math.prod(grid) in (0, anatomy.lead):
            return grid
        raise CheckpointError(
            "the position table does not fit the image size",
            where=where,
            found=f"{rows} positions",
            expected=f"{grid[0]} x {grid[1]} patches for images of size {image_size}",
            hint="Give the image_size that the weights were trained on.",
        )
    for count in (rows - anatomy.lead, rows):
        if count > 0 and math.isqrt(count) ** 2 == count:
            return (math.isqrt(count),) * 2
    raise CheckpointError(
        "the grid of patches is not square and the source does not tell it",
        where=where,
        found=f"{rows} positions",
        hint="Give image_size as (rows, columns) in pixels.",
    )
