"""The encoder: packed samples are alone with themselves, whatever batch they come in."""

import pytest
import torch
from hypothesis import given
from pydantic import ValidationError

from anymae.blocks import Block
from anymae.encoder import SIZES, Encoder, EncoderConfig
from anymae.errors import BadConfig
from anymae.kernels import ragged
from anymae.layouts import full

from .toys import ENCODER, keys, lengths, segments, shaken, shapes

WINDOWED = ENCODER.model_copy(update={"layout": "window", "window": (2.0,), "depth": 3})
REGISTERED = ENCODER.model_copy(update={"registers": 2})
BARE = ENCODER.model_copy(update={"cls": False})
KINDS = {"full": ENCODER, "window": WINDOWED, "registers": REGISTERED, "bare": BARE}
every_kind = pytest.mark.parametrize("kind", KINDS)


def encoder(config: EncoderConfig = ENCODER) -> Encoder:
    torch.manual_seed(0)
    return shaken(Encoder(config))


def grids(shapes: list[tuple[int, int]], seed: int = 0):
    """Vectors, their cut and their coordinates."""
    draw = torch.Generator().manual_seed(seed)
    coords = [torch.cartesian_prod(torch.arange(h), torch.arange(w)).view(-1, 2) for h, w in shapes]
    cut = segments([len(c) for c in coords])
    return torch.randn(cut.total, 16, generator=draw), cut, torch.cat(coords)


# Packing


@every_kind
@given(shapes)
def test_features_do_not_depend_on_batch_mates(kind, shapes):
    net = encoder(KINDS[kind])
    x, cut, coords = grids(shapes)
    with torch.no_grad():
        together = net(x, cut, coords)
        tokens, registers = together.tokens(), together.registers()
        for b in range(len(cut)):
            own = slice(int(cut.offsets[b]), int(cut.offsets[b + 1]))
            alone = net(x[own], segments([own.stop - own.start]), coords[own])
            torch.testing.assert_close(alone.tokens(), tokens[own], rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(
                alone.registers(), registers[b : b + 1], rtol=1e-5, atol=1e-5
            )


@every_kind
def test_features_follow_their_samples_into_another_order(kind):
    net = encoder(KINDS[kind])
    x, cut, coords = grids([(2, 3), (4, 1), (3, 3)])
    order = [2, 0, 1]
    parts = cut.lengths.tolist()
    shuffled = [torch.cat([t.split(parts)[i] for i in order]) for t in (x, coords)]
    with torch.no_grad():
        tokens = net(x, cut, coords).tokens().split(parts)
        moved = net(shuffled[0], segments([parts[i] for i in order]), shuffled[1]).tokens()
    torch.testing.assert_close(moved, torch.cat([tokens[i] for i in order]), rtol=1e-5, atol=1e-5)


def test_tokens_of_a_sample_are_a_set():
    net = encoder()
    x, cut, _ = grids([(3, 3)])
    order = torch.randperm(9)
    with torch.no_grad():
        torch.testing.assert_close(
            net(x[order], cut).tokens(), net(x, cut).tokens()[order], rtol=1e-5, atol=1e-5
        )


def test_other_samples_get_no_gradient():
    x, cut, _ = grids([(2, 2), (1, 3)])
    x.requires_grad_()
    encoder()(x, cut).tokens()[:4].sum().backward()
    assert x.grad[:4].any()
    assert not x.grad[4:].any()


# What comes out


@given(lengths)
def test_latents_part_registers_from_tokens(lengths):
    net = encoder(REGISTERED)
    cut = segments(lengths)
    with torch.no_grad():
        latents = net(torch.randn(cut.total, 16), cut)
    assert latents.segments.lengths.tolist() == [n + 3 for n in lengths]
    assert latents.registers().shape == (len(lengths), 3, 16)
    joined, _ = ragged.join(
        latents.registers().flatten(0, 1), latents.of_lead, latents.tokens(), latents.of_tokens
    )
    assert torch.equal(joined, latents.x)


def test_a_bare_encoder_has_no_registers():
    latents = encoder(BARE)(*grids([(2, 2)])[:2])
    assert latents.registers().shape == (1, 0, 16)
    assert torch.equal(latents.tokens(), latents.x)


def test_taps_are_the_outputs_of_blocks():
    net = encoder(ENCODER.model_copy(update={"depth": 3}))
    x, cut, _ = grids([(2, 2), (3, 1)])
    latents = net(x, cut, taps=(0, 2))
    assert len(latents.taps) == 2
    assert torch.equal(net.norm(latents.taps[1]), latents.x)
    shorter = net.blocks[0](
        ragged.join(net.lead.repeat(2, 1), segments([1, 1]), x, cut)[0],
        full(latents.segments),
        latents.segments,
    )
    assert torch.equal(latents.taps[0], shorter)
    assert net(x, cut).taps == ()


def test_layer_zero_is_a_pre_norm_block_as_written():
    block = shaken(Block(16, 2, 4.0, 1e-6))
    x, cut, _ = grids([(2, 2)])
    attention = torch.nn.MultiheadAttention(16, 2, batch_first=True)
    attention.in_proj_weight.data = block.attention.qkv.weight.data
    attention.in_proj_bias.data = block.attention.qkv.bias.data
    attention.out_proj = block.attention.project
    normed = block.norm_1(x)[None]
    y = x + attention(normed, normed, normed)[0][0]
    torch.testing.assert_close(block(x, full(cut), cut), y + block.mlp(block.norm_2(y)))


# Windows


def test_a_window_over_everything_is_full():
    fields = {"layout": "window", "window": (1000.0,), "cls": False, "depth": 3}
    narrow = encoder(ENCODER.model_copy(update=fields))
    wide = encoder(ENCODER.model_copy(update={"cls": False, "depth": 3}))
    x, cut, coords = grids([(4, 4), (2, 5)])
    with torch.no_grad():
        torch.testing.assert_close(narrow(x, cut, coords).x, wide(x, cut).x, rtol=1e-5, atol=1e-5)


def test_windows_hide_what_is_far_until_a_full_layer():
    fields = {"layout": "window", "window": (2.0,), "cls": False, "depth": 1}
    x, cut, coords = grids([(1, 8)])
    x.requires_grad_()
    for every, reach in ((4, 2), (1, 8)):
        net = encoder(ENCODER.model_copy(update={**fields, "global_every": every}))
        (gradient,) = torch.autograd.grad(net(x, cut, coords).tokens()[0].square().sum(), x)
        assert gradient.any(1).tolist() == [i < reach for i in range(8)]


def test_shifted_windows_pass_knowledge_on():
    fields = {"layout": "window", "window": (2.0,), "cls": False, "depth": 2}
    x, cut, coords = grids([(1, 8)])
    x.requires_grad_()
    net = encoder(ENCODER.model_copy(update=fields))
    (gradient,) = torch.autograd.grad(net(x, cut, coords).tokens()[3].square().sum(), x)
    assert gradient.any(1).tolist() == [2 <= i < 6 for i in range(8)]


def test_windows_need_coordinates():
    with pytest.raises(BadConfig, match="layout='window' needs the tokens' coordinates"):
        encoder(WINDOWED)(*grids([(2, 2)])[:2])


# Stochastic depth


def dropping(rate: float, silent: str = "mlp") -> Block:
    """A block with one silent branch, so that its output is linear in the other."""
    block = shaken(Block(16, 2, 2.0, 1e-6, drop_path=rate)).train()
    last = block.mlp[2] if silent == "mlp" else block.attention.project
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    return block


@torch.no_grad()
def test_dropping_paths_keeps_the_mean():
    block, many = dropping(0.4), 4000
    x = torch.randn(3, 16)
    cut = segments([3] * many)
    out = block(x.repeat(many, 1), full(cut), cut, keys(many)).view(many, 3, 16)
    kept = block.eval()(x, full(segments([3])), segments([3]))
    step = kept - x
    factors = ((out - x) * step).sum((1, 2)) / step.square().sum()
    torch.testing.assert_close((out - x), factors[:, None, None] * step, rtol=0, atol=1e-4)
    assert factors.round(decimals=3).unique().tolist() == pytest.approx([0, 1 / 0.6], abs=2e-3)
    assert abs(float(factors.mean()) - 1) < 5 * (0.4 / 0.6 / many) ** 0.5


@torch.no_grad()
def test_which_paths_drop_depends_on_the_sample_and_the_depth():
    net = encoder(ENCODER.model_copy(update={"depth": 4, "drop_path": 0.6})).train()
    x, cut, _ = grids([(2, 2)] * 6)
    names = keys(6)
    tokens = net(x, cut, keys=names).tokens().view(6, 4, 16)
    assert torch.equal(tokens, net(x, cut, keys=names).tokens().view(6, 4, 16))
    order = [3, 1, 5, 0, 2, 4]
    moved = net(x.view(6, 4, 16)[order].flatten(0, 1), cut, keys=names[order]).tokens()
    torch.testing.assert_close(moved.view(6, 4, 16), tokens[order], rtol=1e-5, atol=1e-5)
    same = net(x.view(6, 4, 16)[:1].repeat(6, 1, 1).flatten(0, 1), cut, keys=names).tokens()
    assert len(same.view(6, -1).round(decimals=3).unique(dim=0)) > 1


@torch.no_grad()
def test_branches_and_blocks_drop_independently():
    many = 4000
    x, cut, names = torch.randn(many, 16), segments([1] * many), keys(many)
    coins = []
    for silent in ("mlp", "attention"):
        block = dropping(0.5, silent)
        for depth in range(3):
            out = block(x, full(cut), cut, names, depth)
            coins.append((out != x).any(1).float())
    apart = torch.corrcoef(torch.stack(coins)) - torch.eye(6)
    assert float(apart.abs().max()) < 5 / many**0.5


def test_rates_grow_with_depth():
    net = Encoder(ENCODER.model_copy(update={"depth": 5, "drop_path": 0.4}))
    assert [b.drop_path for b in net.blocks] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


def test_dropping_paths_needs_keys_in_training_only():
    net = encoder(ENCODER.model_copy(update={"drop_path": 0.5}))
    x, cut, _ = grids([(2, 2)])
    assert torch.equal(net(x, cut).x, net(x, cut, keys=keys(1)).x)
    with pytest.raises(BadConfig, match="drop path draws from the batch's keys"):
        net.train()(x, cut)


# Configuration


def test_named_sizes_are_the_published_ones():
    published = {"tiny": (192, 12, 3), "small": (384, 12, 6), "base": (768, 12, 12),
                 "large": (1024, 24, 16), "huge": (1280, 32, 16)}  # fmt: skip
    for name, size in published.items():
        config = SIZES[name]
        assert (config.width, config.depth, config.heads) == size


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"heads": 3}, "width 16 is not a multiple of heads 3"),
        ({"window": (0.0,)}, "window sizes must be positive"),
        ({"depth": 0}, "greater than 0"),
        ({"dept": 2}, "Extra inputs"),
    ],
    ids=["heads", "window", "depth", "unknown"],
)
def test_impossible_sizes_are_refused(fields, said):
    with pytest.raises(ValidationError, match=said):
        EncoderConfig(**{**ENCODER.model_dump(), **fields})


def test_a_configuration_survives_json():
    for config in (*SIZES.values(), *KINDS.values()):
        assert EncoderConfig.model_validate_json(config.model_dump_json()) == config
