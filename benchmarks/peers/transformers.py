"""transformers' ViTMAE, VideoMAE and PatchTST for pretraining: one step on random data.

``attention`` is ``"sdpa"``, their default, or ``"eager"``; fused AdamW is their trainer's default.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from anymae.benchmarks.peers.steps import stepping
from anymae.benchmarks.speed.contest import Entrant
from anymae.benchmarks.speed.shapes import ImageShape, SeriesShape, VideoShape
from anymae.precision import Precision

PLAIN = "transformers bf16, plain attention"
SHIPPED = {"fp32": "transformers fp32", "bf16": "transformers bf16"}


def entrants(build: Callable[..., Callable[[], None]], shape: Any) -> dict[str, Entrant]:
    """One of the models below as shipped, and in bfloat16 with its fused attention switched off."""
    return {
        SHIPPED["fp32"]: _entrant(build, shape, "fp32", "sdpa"),
        SHIPPED["bf16"]: _entrant(build, shape, "bf16", "sdpa"),
        PLAIN: _entrant(build, shape, "bf16", "eager"),
    }


def _entrant(
    build: Callable[..., Callable[[], None]], shape: Any, precision: Precision, attention: str
) -> Entrant:
    return Entrant(partial(build, shape, precision, attention), precision, peer="transformers")


def vitmae(
    shape: ImageShape, precision: Precision, attention: str, device: torch.device
) -> Callable[[], None]:
    """Images at mask ratio 0.75, normalised targets."""
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    config = ViTMAEConfig(
        hidden_size=shape.width,
        num_hidden_layers=shape.depth,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.width,
        image_size=shape.side,
        patch_size=shape.patch,
        decoder_hidden_size=shape.decoder_width,
        decoder_num_hidden_layers=shape.decoder_depth,
        decoder_num_attention_heads=shape.decoder_heads,
        decoder_intermediate_size=4 * shape.decoder_width,
        mask_ratio=0.75,
        norm_pix_loss=True,
        attn_implementation=attention,
    )
    torch.manual_seed(0)
    model = ViTMAEForPreTraining(config)
    pixels = torch.randn(shape.batch, 3, shape.side, shape.side, device=device)
    return stepping(model, lambda: model(pixel_values=pixels).loss, precision, device)


def videomae(
    shape: VideoShape, precision: Precision, attention: str, device: torch.device
) -> Callable[[], None]:
    """Clips with the same places hidden in all frames, as many as ``shape.hidden`` says."""
    from transformers import VideoMAEConfig, VideoMAEForPreTraining

    config = VideoMAEConfig(
        hidden_size=shape.width,
        num_hidden_layers=shape.depth,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.width,
        image_size=shape.side,
        patch_size=shape.patch,
        num_frames=shape.frames,
        tubelet_size=shape.tube,
        decoder_hidden_size=shape.decoder_width,
        decoder_num_hidden_layers=shape.decoder_depth,
        decoder_num_attention_heads=shape.decoder_heads,
        decoder_intermediate_size=4 * shape.decoder_width,
        norm_pix_loss=True,
        attn_implementation=attention,
    )
    torch.manual_seed(0)
    model = VideoMAEForPreTraining(config)
    clips = torch.randn(shape.batch, shape.frames, 3, shape.side, shape.side, device=device)
    hidden = torch.arange(shape.places).ge(shape.places - shape.hidden)
    mask = hidden.repeat(shape.batch, shape.moments).to(device)
    return stepping(
        model, lambda: model(pixel_values=clips, bool_masked_pos=mask).loss, precision, device
    )


def patchtst(
    shape: SeriesShape, precision: Precision, attention: str, device: torch.device
) -> Callable[[], None]:
    """Channels apart, random patches masked; the dropout of its defaults is 0."""
    from transformers import PatchTSTConfig, PatchTSTForPretraining

    config = PatchTSTConfig(
        num_input_channels=shape.channels,
        context_length=shape.steps,
        patch_length=shape.patch,
        patch_stride=shape.patch,
        d_model=shape.width,
        num_hidden_layers=shape.depth,
        num_attention_heads=shape.heads,
        ffn_dim=4 * shape.width,
        random_mask_ratio=shape.mask_ratio,
        do_mask_input=True,
        attn_implementation=attention,
    )
    torch.manual_seed(0)
    model = PatchTSTForPretraining(config)
    windows = torch.randn(shape.batch, shape.steps, shape.channels, device=device)
    return stepping(model, lambda: model(past_values=windows).loss, precision, device)
