"""Encoders equal transformers' I-JEPA, and the target rule equals plain torch on its features.

Their package holds the encoder alone, which is I-JEPA's context and target encoder alike: the test
puts the method together from two of them, one as student, one as teacher. They have no class token,
ours gets none; they learn a table of places, so does ours. The predictor is ours alone.
"""

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor
from transformers import IJepaConfig, IJepaModel

from anymae.encoder import EncoderConfig
from anymae.masks import Roles
from anymae.modalities.image.adapter import ImageAdapter
from anymae.model import Model
from anymae.positions import TablePosition
from anymae.recipes.features import I_JEPA

from .comparing import same_gradients

SMALL = {
    "image_size": (32, 32), "patch_size": 4, "num_channels": 3, "hidden_size": 48,
    "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 192,
}  # fmt: skip
CASES = {
    "small": SMALL,
    "wide images": {
        **SMALL, "image_size": (24, 64), "patch_size": 8, "num_channels": 1, "hidden_size": 40,
        "num_hidden_layers": 3, "num_attention_heads": 10, "intermediate_size": 80,
        "layer_norm_eps": 1e-5,
    },
}  # fmt: skip


def theirs(case: dict, seed: int) -> IJepaModel:
    config = IJepaConfig(**{"layer_norm_eps": 1e-6, **case}, attn_implementation="eager")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = IJepaModel(config)
        for parameter in model.parameters():  # theirs start with zero biases and unit norms
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


def ours_like(c: IJepaConfig) -> Model:
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
        cls=False,
    )
    shape = tuple(side // c.patch_size for side in c.image_size)
    recipe = I_JEPA.model_copy(update={"position": TablePosition(shape=shape)})
    return Model(adapter, recipe, encoder).eval()


def renamed(found: dict, c: IJepaConfig) -> dict:
    """Their tensors (or gradients) under our names and in our shapes."""
    patch = found["embeddings.patch_embeddings.projection.weight"]
    named = {
        "embedding.project.weight": rearrange(patch, "d c p q -> d (p q c)"),
        "embedding.project.bias": found["embeddings.patch_embeddings.projection.bias"],
        "position.table": found["embeddings.position_embeddings"][0],
    }
    plain = {"layernorm": "encoder.norm"}
    for i in range(c.num_hidden_layers):
        there, here = f"encoder.layer.{i}", f"encoder.blocks.{i}"
        plain |= {
            f"{there}.attention.output.dense": f"{here}.attention.project",
            f"{there}.layernorm_before": f"{here}.norm_1",
            f"{there}.layernorm_after": f"{here}.norm_2",
            f"{there}.intermediate.dense": f"{here}.mlp.0",
            f"{there}.output.dense": f"{here}.mlp.2",
        }
        for kind in ("weight", "bias"):
            three = [f"{there}.attention.attention.{n}.{kind}" for n in ("query", "key", "value")]
            named[f"{here}.attention.qkv.{kind}"] = torch.cat([found[name] for name in three])
    for there, here in plain.items():
        named |= {f"{here}.{kind}": found[f"{there}.{kind}"] for kind in ("weight", "bias")}
    return named


def fill(net: torch.nn.Module, peer: IJepaModel) -> None:
    """Give a model, or its teacher, their weights."""
    unfilled = net.load_state_dict(renamed(peer.state_dict(), peer.config), strict=False)
    assert not unfilled.unexpected_keys
    own = ("encoder.lead", "decoder.", "head.", "teacher.")
    assert all(name.startswith(own) for name in unfilled.missing_keys)


@pytest.fixture(params=CASES.values(), ids=CASES.keys(), scope="module")
def method(request):
    """Two of theirs, student and teacher, and our model made of both; images for them and us."""
    student, teacher = (theirs(request.param, seed) for seed in (0, 1))
    c = student.config
    model = ours_like(c)
    model.teacher = model.recipe.teacher.build(model)
    fill(model, student)
    fill(model.teacher, teacher)
    draw = torch.Generator().manual_seed(7)
    pixels = torch.randn(3, c.num_channels, *c.image_size, generator=draw) * 2 + 0.5
    packed = model.adapter.batch_tokenize(list(pixels.permute(0, 2, 3, 1).numpy()))
    return student, teacher, model, pixels, packed.with_keys(torch.arange(3))


def of_seen(peer: IJepaModel, pixels: Tensor, roles: Roles) -> Tensor:
    """(S, D) what they make of the seen tokens, as if no others were, image by image."""
    embedded = peer.embeddings(pixels).flatten(0, 1)[roles.see]
    parts = embedded.split(roles.of_see.lengths.tolist())
    states = [peer.encoder(part[None]).last_hidden_state[0] for part in parts]
    return peer.layernorm(torch.cat(states))


def test_features_of_everything_and_every_gradient(method):
    student, _, model, pixels, packed = method
    expected = student(pixels).last_hidden_state.flatten(0, 1)
    found = model.encode(packed).x
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)

    weight = torch.randn(found.shape, generator=torch.Generator().manual_seed(3))
    student.zero_grad()
    model.zero_grad()
    (expected * weight).mean().backward()
    (found * weight).mean().backward()
    wanted = renamed({n: p.grad for n, p in student.named_parameters()}, student.config)
    every = {n: p.grad for n, p in model.named_parameters() if p.grad is not None and p.numel()}
    same_gradients(every, wanted)


def test_the_context_is_encoded_alone(method):
    student, _, model, pixels, packed = method
    roles = model.recipe.mask.draw(packed)
    with torch.no_grad():
        expected = of_seen(student, pixels, roles)
        found = model._encode_masked(packed, roles)[0].x
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_targets_are_normalised_features_of_the_teacher(method):
    """A layer norm without weights of the teacher's last layer, of the whole image; smooth L1."""
    _, teacher, model, pixels, packed = method
    roles = model.recipe.mask.draw(packed)
    out = model(packed, roles)
    with torch.no_grad():
        states = teacher(pixels).last_hidden_state
        expected = F.layer_norm(states, states.shape[-1:]).flatten(0, 1)[roles.ask]
    assert len(expected) == out.count
    torch.testing.assert_close(out.target, expected, rtol=1e-5, atol=1e-5)
    loss = F.smooth_l1_loss(out.prediction, expected)
    assert out.loss.item() / out.count == pytest.approx(loss.item(), rel=1e-5)
    apart = (out.prediction - expected).abs()
    assert (apart < 1).any(), "one side of smooth L1 alone proves little"
    assert (apart > 1).any(), "one side of smooth L1 alone proves little"
    out.loss.backward()
    assert all(parameter.grad is None for parameter in model.teacher.parameters())


def test_the_teacher_moves_towards_the_student(method):
    student, teacher, model, _, _ = method
    follower = model.recipe.teacher.build(model)
    fill(follower, teacher)
    model.recipe.teacher.follow(follower, model, done=0.0, before=0.0)
    old, new = (renamed(peer.state_dict(), peer.config) for peer in (teacher, student))
    for name, parameter in follower.named_parameters():
        if parameter.numel():
            expected = 0.996 * old[name] + 0.004 * new[name]
            torch.testing.assert_close(parameter, expected, rtol=1e-6, atol=1e-6)


def test_the_students_features_would_be_other_targets(method):
    """Negative control: whose features they are matters."""
    student, _, model, pixels, packed = method
    roles = model.recipe.mask.draw(packed)
    with torch.no_grad():
        states = student(pixels).last_hidden_state
        other = F.layer_norm(states, states.shape[-1:]).flatten(0, 1)[roles.ask]
        found = model(packed, roles).target
    assert float((found - other).abs().mean()) > 0.1
