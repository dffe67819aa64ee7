"""Models of other projects with random weights, and the layouts their checkpoints have."""

import numpy as np
import pytest
import torch
from transformers import ViTMAEConfig, ViTMAEForPreTraining

SIZES = {
    "image_size": 32, "patch_size": 8, "hidden_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 3, "intermediate_size": 100, "decoder_hidden_size": 32,
    "decoder_num_hidden_layers": 2, "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 64, "layer_norm_eps": 1e-6, "norm_pix_loss": True,
    "attn_implementation": "eager",
}  # fmt: skip


def shake(module, seed=0):
    draw = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data = 0.1 * torch.randn(parameter.shape, generator=draw)
    return module.eval()


def sin_cos(side, width):
    """(1, side * side + 1, width) by MAE's formula: columns first, the class token at zero."""
    frequency = 1 / 10000 ** (np.arange(width // 4) / (width / 4))
    row, column = np.divmod(np.arange(side * side), side)
    waves = [f(x[:, None] * frequency) for x in (column, row) for f in (np.sin, np.cos)]
    table = np.concatenate(waves, 1)
    return torch.from_numpy(np.concatenate([np.zeros((1, width)), table])).float()[None]


@pytest.fixture
def vitmae():
    """Makes a ViTMAEForPreTraining with MAE's position tables."""

    def make(**changes):
        model = shake(ViTMAEForPreTraining(ViTMAEConfig(**{**SIZES, **changes})))
        side = model.config.image_size // model.config.patch_size
        model.vit.embeddings.position_embeddings.data = sin_cos(side, model.config.hidden_size)
        model.decoder.decoder_pos_embed.data = sin_cos(side, model.config.decoder_hidden_size)
        return model

    return make


@pytest.fixture
def timm_vit():
    """Makes a timm VisionTransformer with every parameter random."""

    def make(**changes):
        from timm.models.vision_transformer import VisionTransformer

        sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}
        return shake(VisionTransformer(**{**sizes, "num_classes": 5, **changes}))

    return make


RENAMED = (
    ("vit.embeddings.cls_token", "cls_token"),
    ("vit.embeddings.position_embeddings", "pos_embed"),
    ("vit.embeddings.patch_embeddings.projection", "patch_embed.proj"),
    ("vit.encoder.layer", "blocks"),
    ("vit.layernorm", "norm"),
    ("decoder.decoder_layers", "decoder_blocks"),
    ("decoder.", ""),
    ("attention.output.dense", "attn.proj"),
    ("intermediate.dense", "mlp.fc1"),
    ("output.dense", "mlp.fc2"),
    ("layernorm_before", "norm1"),
    ("layernorm_after", "norm2"),
)


@pytest.fixture
def mae_state():
    """A ViTMAE's weights in the layout of facebookresearch/mae."""

    def make(model):
        state = {}
        for name, tensor in model.state_dict().items():
            for theirs, mae in RENAMED:
                name = name.replace(theirs, mae)
            state[name] = tensor
        for name in [name for name in state if ".query." in name]:
            parts = [state.pop(name.replace("query", p)) for p in ("query", "key", "value")]
            state[name.replace("attention.attention.query", "attn.qkv")] = torch.cat(parts)
        return state

    return make


@pytest.fixture
def swap_halves():
    """Makes a position table with rows before columns: the classic trap of importing MAE."""
    return lambda table: torch.cat(table.chunk(2, dim=-1)[::-1], -1)


@pytest.fixture
def images():
    """Makes uint8 images (B, H, W, C) and the same as these projects want them (B, C, H, W)."""

    def make(rows=32, columns=32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)):
        draw = np.random.default_rng(0)
        raw = draw.integers(0, 256, (3, rows, columns, len(mean)), dtype=np.uint8)
        pixels = (raw / 255 - np.array(mean)) / np.array(std)
        return raw, torch.from_numpy(pixels.transpose(0, 3, 1, 2)).float()

    return make
