"""The core computes what transformers' ViTMAE computes: loss, gradients, predictions, features.

The mapping of weights is written out here on its own, so that it also checks the importer's.
"""

import numpy as np
import pytest
import torch
from einops import rearrange
from transformers import ViTMAEConfig, ViTMAEForPreTraining

from anymae.decoders import SelfDecoder
from anymae.encoder import EncoderConfig
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.masks.priorities import GivenPriority
from anymae.modalities.image.adapter import ImageAdapter
from anymae.model import Model
from anymae.recipes.pixels import MAE
from anymae.targets import Content
from anymae.tokens import Packed

from .comparing import same_gradients

SMALL = {
    "image_size": 32, "patch_size": 4, "num_channels": 3,
    "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 192,
    "decoder_hidden_size": 32, "decoder_num_hidden_layers": 2,
    "decoder_num_attention_heads": 2, "decoder_intermediate_size": 128,
}  # fmt: skip
CASES = {
    "small": SMALL,
    "norm-pix": {**SMALL, "norm_pix_loss": True},
    "grey": {**SMALL, "num_channels": 1, "norm_pix_loss": True, "mask_ratio": 0.6},
    "large patches": {
        **SMALL, "image_size": 64, "patch_size": 16, "hidden_size": 64, "num_hidden_layers": 3,
        "num_attention_heads": 4, "intermediate_size": 160, "decoder_hidden_size": 96,
        "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 8,
        "decoder_intermediate_size": 240, "norm_pix_loss": True,
    },
    "heads of one kind, few channels": {
        **SMALL, "image_size": 24, "patch_size": 8, "num_channels": 5, "hidden_size": 40,
        "num_attention_heads": 10, "intermediate_size": 80, "decoder_num_attention_heads": 1,
        "decoder_intermediate_size": 64, "layer_norm_eps": 1e-5, "mask_ratio": 0.5,
    },
}  # fmt: skip


def sin_cos(side: int, width: int) -> torch.Tensor:
    """(1, side * side + 1, width) by MAE's formula: columns first, the class token at zero."""
    frequency = 1 / 10000 ** (np.arange(width // 4) / (width / 4))
    table = np.zeros((side, side, width))
    for row in range(side):
        for column in range(side):
            a, b = column * frequency, row * frequency
            table[row, column] = np.concatenate([np.sin(a), np.cos(a), np.sin(b), np.cos(b)])
    rows = np.concatenate([np.zeros((1, width)), table.reshape(-1, width)])
    return torch.from_numpy(rows).float()[None]


def theirs(case: dict) -> ViTMAEForPreTraining:
    config = ViTMAEConfig(**{"layer_norm_eps": 1e-6, **case}, attn_implementation="eager")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ViTMAEForPreTraining(config)
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:  # theirs start with zero biases and unit norms
                parameter.data += 0.05 * torch.randn_like(parameter)
            assert ("pos" in name) == (not parameter.requires_grad), name
    side = config.image_size // config.patch_size
    # transformers 5 leaves both tables at zero in a model of its own making.
    model.vit.embeddings.position_embeddings.data = sin_cos(side, config.hidden_size)
    model.decoder.decoder_pos_embed.data = sin_cos(side, config.decoder_hidden_size)
    return model.eval()


def ours_like(their_config: ViTMAEConfig) -> Model:
    c = their_config
    adapter = ImageAdapter(
        image_size=c.image_size,
        patch_size=c.patch_size,
        channels=c.num_channels,
        channel_axis="last",
        mean=(0.0,) * c.num_channels,
        std=(1.0,) * c.num_channels,
        dtype="float32",
    )
    encoder = EncoderConfig(
        width=c.hidden_size,
        depth=c.num_hidden_layers,
        heads=c.num_attention_heads,
        mlp_ratio=c.intermediate_size / c.hidden_size,
        norm_eps=c.layer_norm_eps,
    )
    decoder = SelfDecoder(
        width=c.decoder_hidden_size,
        depth=c.decoder_num_hidden_layers,
        heads=c.decoder_num_attention_heads,
        mlp_ratio=c.decoder_intermediate_size / c.decoder_hidden_size,
    )
    mask = Mask(priority=GivenPriority(), budget=RatioBudget(ratio=c.mask_ratio))
    target = Content(normalise="token" if c.norm_pix_loss else "none")
    recipe = MAE.model_copy(update={"decoder": decoder, "mask": mask, "target": target})
    return Model(adapter, recipe, encoder)


def blocks(found: dict, there: str, here: str, depth: int) -> dict:
    """Their transformer layers under our names."""
    named = {}
    for i in range(depth):
        for kind in ("weight", "bias"):
            of = lambda name, i=i, kind=kind: found[f"{there}.{i}.{name}.{kind}"]  # noqa: E731
            qkv = [of(f"attention.attention.{n}") for n in ("query", "key", "value")]
            named |= {
                f"{here}.{i}.attention.qkv.{kind}": torch.cat(qkv),
                f"{here}.{i}.attention.project.{kind}": of("attention.output.dense"),
                f"{here}.{i}.norm_1.{kind}": of("layernorm_before"),
                f"{here}.{i}.norm_2.{kind}": of("layernorm_after"),
                f"{here}.{i}.mlp.0.{kind}": of("intermediate.dense"),
                f"{here}.{i}.mlp.2.{kind}": of("output.dense"),
            }
    return named


def renamed(found: dict, config: ViTMAEConfig) -> dict:
    """Their trainable tensors (or gradients) under our names and in our shapes."""
    patch = found["vit.embeddings.patch_embeddings.projection.weight"]
    named = {
        "embedding.project.weight": rearrange(patch, "d c p q -> d (p q c)"),
        "embedding.project.bias": found["vit.embeddings.patch_embeddings.projection.bias"],
        "encoder.lead": found["vit.embeddings.cls_token"][0],
        "decoder.mask_token": found["decoder.mask_token"].flatten(),
    }
    plain = {
        "vit.layernorm": "encoder.norm",
        "decoder.decoder_embed": "decoder.embed",
        "decoder.decoder_norm": "decoder.norm",
        "decoder.decoder_pred": "head.project",
    }
    for there, here in plain.items():
        named |= {f"{here}.{kind}": found[f"{there}.{kind}"] for kind in ("weight", "bias")}
    named |= blocks(found, "vit.encoder.layer", "encoder.blocks", config.num_hidden_layers)
    depth = config.decoder_num_hidden_layers
    return named | blocks(found, "decoder.decoder_layers", "decoder.blocks", depth)


def batch(model: Model, config: ViTMAEConfig, count: int = 3) -> tuple[torch.Tensor, ...]:
    """The same images and mask noise for them (pixels, noise) and for us (packed)."""
    draw = torch.Generator().manual_seed(7)
    shape = (count, config.num_channels, config.image_size, config.image_size)
    pixels = torch.randn(shape, generator=draw) * 2 + 0.5
    packed = model.adapter.batch_tokenize(list(pixels.permute(0, 2, 3, 1).numpy()))
    noise = torch.rand(count, packed.segments.equal, generator=draw)
    packed = Packed(
        packed.values,
        packed.coords,
        packed.segments,
        side={"priority": noise.flatten()},
        keys=torch.arange(count),
    )
    return pixels, noise, packed


@pytest.fixture(params=CASES.values(), ids=CASES.keys(), scope="module")
def both(request):
    peer = theirs(request.param)
    model = ours_like(peer.config)
    model.load_state_dict(renamed(peer.state_dict(), peer.config))
    return peer, model.eval(), batch(model, peer.config)


def test_loss_and_every_gradient(both):
    peer, model, (pixels, noise, packed) = both
    peer.zero_grad()
    model.zero_grad()
    expected = peer(pixels, noise=noise).loss
    out = model(packed, model.recipe.mask.draw(packed))
    loss = out.loss / out.count
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)

    expected.backward()
    loss.backward()
    trained = {n: p.grad for n, p in peer.named_parameters() if p.requires_grad}
    wanted = renamed(trained, peer.config)
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    same_gradients(found, wanted)


def test_the_same_tokens_are_hidden_and_predicted(both):
    peer, model, (pixels, noise, packed) = both
    with torch.no_grad():
        out = peer(pixels, noise=noise)
        roles = model.recipe.mask.draw(packed)
        prediction = model(packed, roles).prediction
    assert torch.equal(roles.ask, out.mask.flatten().nonzero()[:, 0])
    kept = int(noise.shape[1] * (1 - peer.config.mask_ratio))
    assert roles.of_see.lengths.tolist() == [kept] * len(noise)
    torch.testing.assert_close(prediction, out.logits.flatten(0, 1)[roles.ask], rtol=0, atol=1e-5)


def test_features_of_everything(both):
    peer, model, (pixels, _, packed) = both
    order = torch.arange(packed.segments.equal).float().expand(len(packed), -1)
    ratio = peer.config.mask_ratio
    peer.config.mask_ratio = 0.0
    try:
        with torch.no_grad():
            expected = peer.vit(pixels, noise=order).last_hidden_state
            latents = model.encode(packed)
    finally:
        peer.config.mask_ratio = ratio
    torch.testing.assert_close(latents.x.view_as(expected), expected, rtol=1e-5, atol=1e-5)


def test_swapping_the_halves_of_the_position_would_be_seen(both):
    """Negative control: rows in the first half of the table give another loss."""
    peer, model, (pixels, noise, packed) = both
    swapped = Packed(
        packed.values, packed.coords.flip(1), packed.segments, side=packed.side, keys=packed.keys
    )
    with torch.no_grad():
        expected = float(peer(pixels, noise=noise).loss)
        out = model(swapped, model.recipe.mask.draw(swapped))
    assert float(out.loss) / out.count != pytest.approx(expected, rel=1e-5)
