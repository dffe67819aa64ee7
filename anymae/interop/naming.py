"""What other projects call the tensors of a masked autoencoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Naming:
    """Names of one project. ``layer`` maps the linear maps and norms of our ``Block`` to theirs;
    queries, keys and values may be three maps that ours fuses. ``dropped`` maps prefixes of
    tensors that a masked autoencoder has no use for to the reason."""

    patch: str
    cls: str
    registers: str
    positions: str
    blocks: str
    norm: str
    decoder_embed: str
    mask_token: str
    decoder_positions: str
    decoder_blocks: str
    decoder_norm: str
    decoder_head: str
    layer: Mapping[str, tuple[str, ...]]
    dropped: Mapping[str, str]

    @property
    def of_decoder(self) -> tuple[str, ...]:
        """Prefixes of everything that belongs to the decoder."""
        return (
            self.decoder_embed,
            self.mask_token,
            self.decoder_positions,
            self.decoder_blocks,
            self.decoder_norm,
            self.decoder_head,
        )


TIMM = Naming(
    patch="patch_embed.proj",
    cls="cls_token",
    registers="reg_token",
    positions="pos_embed",
    blocks="blocks",
    norm="norm",
    decoder_embed="decoder_embed",
    mask_token="mask_token",
    decoder_positions="decoder_pos_embed",
    decoder_blocks="decoder_blocks",
    decoder_norm="decoder_norm",
    decoder_head="decoder_pred",
    layer={
        "norm_1": ("norm1",),
        "attention.qkv": ("attn.qkv",),
        "attention.project": ("attn.proj",),
        "norm_2": ("norm2",),
        "mlp.0": ("mlp.fc1",),
        "mlp.2": ("mlp.fc2",),
    },
    dropped={"head.": "classification head", "pre_logits.": "part of a classification head"},
)
"""timm's VisionTransformer, and facebookresearch/mae, which extends it by a decoder."""


def _vitmae(prefix: str) -> Naming:
    return Naming(
        patch=f"{prefix}embeddings.patch_embeddings.projection",
        cls=f"{prefix}embeddings.cls_token",
        registers=f"{prefix}embeddings.register_tokens",
        positions=f"{prefix}embeddings.position_embeddings",
        blocks=f"{prefix}encoder.layer",
        norm=f"{prefix}layernorm",
        decoder_embed="decoder.decoder_embed",
        mask_token="decoder.mask_token",
        decoder_positions="decoder.decoder_pos_embed",
        decoder_blocks="decoder.decoder_layers",
        decoder_norm="decoder.decoder_norm",
        decoder_head="decoder.decoder_pred",
        layer={
            "norm_1": ("layernorm_before",),
            "attention.qkv": tuple(
                f"attention.attention.{part}" for part in ("query", "key", "value")
            ),
            "attention.project": ("attention.output.dense",),
            "norm_2": ("layernorm_after",),
            "mlp.0": ("intermediate.dense",),
            "mlp.2": ("output.dense",),
        },
        dropped={},
    )


VITMAE = (_vitmae("vit."), _vitmae(""))
"""transformers' ViTMAEForPreTraining and ViTMAEModel."""


def naming_of(names: Iterable[str]) -> Naming | None:
    """The naming these tensor names follow, by the name of the patch projection."""
    known = set(names)
    return next((n for n in (TIMM, *VITMAE) if f"{n.patch}.weight" in known), None)
