"""SimMIM against a reference in plain torch; the encoder against timm; masks that do not leak.

The reference computes every sample densely, on its own, from the same parameters.
"""

import pytest
import torch
import torch.nn.functional as F

from anymae.encoder import EncoderConfig
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.masks.priorities import GivenPriority
from anymae.modalities.image.adapter import ImageAdapter
from anymae.model import Model
from anymae.positions import TablePosition
from anymae.recipes.pixels import MAE, SIMMIM

ENCODER = EncoderConfig(width=48, depth=2, heads=3)


def adapter(**fields) -> ImageAdapter:
    raw = {"mean": (0.0,) * 3, "std": (1.0,) * 3, "dtype": "float32", "channel_axis": "last"}
    return ImageAdapter(**{"image_size": 32, "patch_size": 4, "channels": 3, **raw, **fields})


def images(count: int, rows: int = 32, columns: int = 32, seed: int = 0) -> list:
    draw = torch.Generator().manual_seed(seed)
    return list(torch.randn(count, rows, columns, 3, generator=draw).numpy())


def shaken(model: Model) -> Model:
    """The model with every parameter away from its simple initial value."""
    draw = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=draw)
    return model.eval()


def dense_block(p: dict, x: torch.Tensor, heads: int) -> torch.Tensor:
    """A pre-norm block on (L, D), from parameters ``p`` without their prefix."""
    norm = lambda x, n: F.layer_norm(x, x.shape[-1:], p[f"{n}.weight"], p[f"{n}.bias"], 1e-6)  # noqa: E731
    linear = lambda x, n: F.linear(x, p[f"{n}.weight"], p[f"{n}.bias"])  # noqa: E731
    length, width = x.shape
    q, k, v = linear(norm(x, "norm_1"), "attention.qkv").chunk(3, dim=1)
    q, k, v = (t.view(length, heads, -1).transpose(0, 1) for t in (q, k, v))
    scores = q @ k.transpose(1, 2) / (width // heads) ** 0.5
    mixed = (scores.softmax(-1) @ v).transpose(0, 1).reshape(length, width)
    x = x + linear(mixed, "attention.project")
    return x + linear(F.gelu(linear(norm(x, "norm_2"), "mlp.0")), "mlp.2")


def simmim_loss(model: Model, values: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """SimMIM's loss of one batch: values (B, N, F), hidden (B, N) bool."""
    p = dict(model.named_parameters())
    coords = torch.cartesian_prod(torch.arange(8), torch.arange(8))
    errors = []
    for sample, hide in zip(values, hidden, strict=True):
        x = F.linear(sample, p["embedding.project.weight"], p["embedding.project.bias"])
        x = torch.where(hide[:, None], p["corruption.token"], x) + model.position(coords)
        x = torch.cat([p["encoder.lead"], x])
        for i in range(ENCODER.depth):
            prefix = f"encoder.blocks.{i}."
            own = {n.removeprefix(prefix): t for n, t in p.items() if n.startswith(prefix)}
            x = dense_block(own, x, ENCODER.heads)
        x = F.layer_norm(x, x.shape[-1:], p["encoder.norm.weight"], p["encoder.norm.bias"], 1e-6)
        predicted = F.linear(x[1:], p["head.project.weight"], p["head.project.bias"])
        errors.append((predicted - sample).abs()[hide])
    return torch.cat(errors).mean()


def test_simmim_equals_a_dense_reference():
    model = shaken(Model(adapter(), SIMMIM, ENCODER))
    packed = model.adapter.batch_tokenize(images(3)).with_keys(torch.arange(3))
    roles = model.recipe.mask.draw(packed)
    hidden = torch.zeros(packed.segments.total, dtype=torch.bool)
    hidden[roles.ask] = True

    expected = simmim_loss(model, packed.values.view(3, 64, -1), hidden.view(3, 64))
    expected.backward()
    wanted = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    out = model(packed, roles)
    loss = out.loss / out.count
    loss.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for name, parameter in model.named_parameters():
        scale = float(wanted[name].abs().max())
        assert scale > 0, name
        assert float((parameter.grad - wanted[name]).abs().max()) <= 1e-5 * scale + 1e-7, name


def test_simmim_hides_whole_blocks_in_exact_number():
    model = Model(adapter(), SIMMIM, ENCODER)
    packed = model.adapter.batch_tokenize(images(4)).with_keys(torch.arange(4))
    roles = model.recipe.mask.draw(packed)
    seen_blocks = int(16 * (1 - 0.6))
    assert roles.of_see.lengths.tolist() == [4 * seen_blocks] * 4
    seen = torch.zeros(4, 8, 8, dtype=torch.bool)
    seen.view(-1)[roles.see] = True
    blocks = seen.view(4, 4, 2, 4, 2).transpose(2, 3).flatten(3)
    assert torch.equal(blocks.all(-1), blocks.any(-1))


@pytest.mark.parametrize(("rows", "columns"), [(32, 32), (16, 40)])
def test_the_encoder_equals_timm_with_learned_positions(rows, columns):
    from timm.models.vision_transformer import VisionTransformer

    peer = VisionTransformer(
        img_size=(rows, columns), patch_size=4, embed_dim=48, depth=3, num_heads=4,
        mlp_ratio=3, num_classes=0,
    ).eval()  # fmt: skip
    draw = torch.Generator().manual_seed(2)
    for parameter in peer.parameters():
        parameter.data = 0.1 * torch.randn(parameter.shape, generator=draw)
    recipe = MAE.model_copy(update={"position": TablePosition(shape=(rows // 4, columns // 4))})
    encoder = EncoderConfig(width=48, depth=3, heads=4, mlp_ratio=3)
    model = Model(adapter(image_size=(rows, columns)), recipe, encoder).eval()
    names = {
        "norm1": "norm_1", "norm2": "norm_2", "attn.qkv": "attention.qkv",
        "attn.proj": "attention.project", "mlp.fc1": "mlp.0", "mlp.fc2": "mlp.2",
    }  # fmt: skip
    state = peer.state_dict()
    taken = {
        "embedding.project.weight": state["patch_embed.proj.weight"].permute(0, 2, 3, 1).flatten(1),
        "embedding.project.bias": state["patch_embed.proj.bias"],
        "position.table": state["pos_embed"][0, 1:],
        "encoder.lead": state["cls_token"][0] + state["pos_embed"][0, :1],
        "encoder.norm.weight": state["norm.weight"],
        "encoder.norm.bias": state["norm.bias"],
    }
    for name, tensor in state.items():
        if name.startswith("blocks."):
            _, i, *part, kind = name.split(".")
            taken[f"encoder.blocks.{i}.{names['.'.join(part)]}.{kind}"] = tensor
    unfilled = model.load_state_dict(taken, strict=False)
    assert not unfilled.unexpected_keys
    assert all(name.startswith(("decoder.", "head.")) for name in unfilled.missing_keys)

    samples = images(2, rows, columns)
    pixels = torch.stack([torch.from_numpy(x) for x in samples]).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = peer.forward_features(pixels)
        found = model.encode(model.adapter.batch_tokenize(samples)).x.view_as(expected)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("recipe", [MAE, SIMMIM], ids=["mae", "simmim"])
def test_hidden_content_reaches_nothing(recipe):
    """Other pixels in hidden places: latents and predictions stay, bit for bit; no gradient."""
    model = shaken(Model(adapter(), recipe, ENCODER))
    packed = model.adapter.batch_tokenize(images(3)).with_keys(torch.arange(3))
    other = model.adapter.batch_tokenize(images(3, seed=5)).with_keys(torch.arange(3))
    roles = recipe.mask.draw(packed)
    other.values[roles.see] = packed.values[roles.see]
    assert not torch.equal(packed.values[roles.hide], other.values[roles.hide])
    packed.values.requires_grad_()
    latents = [model._encode_masked(batch, roles)[0].x for batch in (packed, other)]
    outputs = [model(batch, roles) for batch in (packed, other)]
    assert torch.equal(*latents)
    assert torch.equal(outputs[0].prediction, outputs[1].prediction)
    assert not torch.equal(outputs[0].target, outputs[1].target)

    outputs[0].prediction.square().sum().backward()
    gradient = packed.values.grad.abs().amax(1)
    assert (gradient[roles.hide] == 0).all()
    assert (gradient[roles.see] > 0).all()


@pytest.mark.parametrize(("side", "ratio"), [(4, 0.75), (7, 0.75), (7, 0.6), (14, 0.9), (5, 0.3)])
def test_exactly_the_lowest_noise_is_seen(side, ratio):
    """As in MAE: the floor of N (1 - ratio) tokens of lowest noise, for every sample."""
    kind = adapter(image_size=4 * side)
    packed = kind.batch_tokenize(images(3, 4 * side, 4 * side)).with_keys(torch.arange(3))
    noise = torch.rand(3, side * side, generator=torch.Generator().manual_seed(3))
    packed.side["priority"] = noise.flatten()
    mask = Mask(priority=GivenPriority(), budget=RatioBudget(ratio=ratio))
    kept = int(side * side * (1 - ratio))
    expected = noise.argsort(1)[:, :kept].sort(1).values
    seen = mask.draw(packed).see.view(3, kept) - torch.arange(3)[:, None] * side * side
    assert torch.equal(seen, expected)
