"""What a checkpoint says about its model beyond the shapes of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Facts:
    """None: the source does not say.

    ``image_size`` is (rows, columns) in pixels; ``mean`` and ``std`` are per channel, of images
    from 0 to 255. ``claims`` are sizes that must agree with the tensors (see ``Anatomy.sizes``).
    """

    layout: str
    heads: int | None = None
    decoder_heads: int | None = None
    norm_eps: float | None = None
    image_size: tuple[int, int] | None = None
    mask_ratio: float | None = None
    norm_pix: bool | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    cls: bool = True
    qkv_bias: bool = True
    claims: Mapping[str, int] = field(default_factory=dict)
