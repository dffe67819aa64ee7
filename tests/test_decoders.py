"""Decoders: they answer what is asked, and computing less changes nothing."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anymae import layouts
from anymae.blocks import Block, CrossBlock
from anymae.decoders import CrossDecoder, LinearDecoder, Question, SelfDecoder
from anymae.encoder import SIZES, Latents
from anymae.kernels import ragged
from anymae.positions import SinCosPosition

from .toys import ENCODER, segments, shaken

questions = st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5)), min_size=1, max_size=5)
"""Encoded and asked tokens of each sample; some are asked nothing."""


def case(pairs: list[tuple[int, int]], seed: int = 0) -> tuple[Latents, Question]:
    draw = torch.Generator().manual_seed(seed)
    of_tokens, of_ask = (segments(list(of)) for of in zip(*pairs, strict=True))
    of_lead = segments([1] * len(pairs))
    cut = of_tokens.grown(1)
    latents = Latents(torch.randn(cut.total, 16, generator=draw), cut, of_lead, of_tokens)
    where = torch.randint(0, 9, (of_tokens.total + of_ask.total, 2), generator=draw)
    known, asked = where.split([of_tokens.total, of_ask.total])
    rows = of_tokens.offsets[of_ask.ids("cpu")]  # the first token of the sample
    return latents, Question(known, asked, of_ask, rows)


def built(decoder) -> torch.nn.Module:
    return shaken(decoder.build(ENCODER, partial(SinCosPosition().build, 2)))


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


BLOCKS = {
    "self": SelfDecoder(width=16, depth=2, heads=2),
    "cross": CrossDecoder(width=16, depth=2, heads=2),
    "linear": LinearDecoder(),
}
every_decoder = pytest.mark.parametrize("name", BLOCKS)


# What nobody reads is not computed


@given(questions)
def test_the_tail_of_a_block_is_the_end_of_the_whole(pairs):
    block = shaken(Block(16, 2, 2.0, 1e-6))
    joined, of_ask = segments([m + n for m, n in pairs]), segments([n for _, n in pairs])
    x = torch.randn(joined.total, 16, requires_grad=True)
    found = block.tail(x, joined, of_ask)
    wanted = ragged.tail(block(x, layouts.full(joined), joined), joined, of_ask)
    close(found, wanted)
    weight = torch.randn_like(wanted)
    leaves = [x, *block.parameters()]
    pair = [torch.autograd.grad((y * weight).sum(), leaves, retain_graph=True)
            for y in (found, wanted)]  # fmt: skip
    for a, b in zip(*pair, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@given(questions)
def test_the_self_decoder_equals_computing_everything(pairs):
    module = built(BLOCKS["self"])
    latents, question = case(pairs)
    asked = module.mask_token + module.position(question.ask_coords)
    lead = torch.zeros(len(pairs), 16)
    where, _ = ragged.join(
        lead, latents.of_lead, module.position(question.coords), latents.of_tokens
    )
    known = module.embed(latents.x) + where
    x, joined = ragged.join(known, latents.segments, asked, question.of_ask)
    for block in module.blocks:
        x = block(x, layouts.full(joined), joined)
    close(module(latents, question), module.norm(ragged.tail(x, joined, question.of_ask)))


# Answers


@every_decoder
@given(questions)
def test_there_is_an_answer_for_every_question(name, pairs):
    answer = built(BLOCKS[name])(*case(pairs))
    assert answer.shape == (sum(n for _, n in pairs), BLOCKS[name].out_width(ENCODER))
    assert bool(torch.isfinite(answer).all())


@every_decoder
@given(questions)
def test_answers_do_not_depend_on_batch_mates(name, pairs):
    module = built(BLOCKS[name])
    latents, question = case(pairs)
    with torch.no_grad():
        together = module(latents, question).split([n for _, n in pairs])
        for b in range(len(pairs)):
            alone = module(*sample_of(latents, question, b))
            close(alone, together[b])


def sample_of(latents: Latents, question: Question, b: int) -> tuple[Latents, Question]:
    """One sample's own latents and question."""
    cut = [
        slice(int(of.offsets[b]), int(of.offsets[b + 1]))
        for of in (latents.segments, latents.of_tokens, question.of_ask)
    ]
    x, coords = latents.x[cut[0]], question.coords[cut[1]]
    own = Latents(x, segments([len(x)]), segments([1]), segments([len(coords)]))
    asked = question.ask_coords[cut[2]]
    rows = question.ask_rows[cut[2]] - cut[1].start
    return own, Question(coords, asked, segments([len(asked)]), rows)


def test_cross_questions_do_not_see_one_another():
    module = built(BLOCKS["cross"])
    latents, question = case([(4, 5), (3, 2)])
    fewer = [0, 2, 5]
    few = replace(
        question, ask_coords=question.ask_coords[fewer], of_ask=segments([2, 1]), ask_rows=None
    )
    close(module(latents, few), module(latents, question)[fewer])


def test_self_questions_do_see_one_another():
    module = built(BLOCKS["self"])
    latents, question = case([(4, 5)])
    few = replace(question, ask_coords=question.ask_coords[:2], of_ask=segments([2]))
    assert not torch.allclose(module(latents, few), module(latents, question)[:2], atol=1e-4)


def test_who_may_not_meet_in_the_encoder_may_not_meet_in_the_decoder():
    apart = ENCODER.model_copy(
        update={"layout": "window", "window": (None, 1.0), "shifted": False, "global_every": 0}
    )
    module = shaken(BLOCKS["self"].build(apart, partial(SinCosPosition().build, 2)))
    latents, question = case([(4, 5), (3, 2)])
    answer = module(latents, question)
    for row in (0, 3, 6):
        x = latents.x.clone()
        x[row + 1 + int(row >= 4)] += 1.0  # one register before each sample
        moved = module(replace(latents, x=x), question)
        changed = (moved - answer).abs().amax(1) > 1e-6
        sample = torch.tensor([0] * 5 + [1] * 2)
        same = question.ask_coords[:, 1] == question.coords[row, 1]
        assert torch.equal(changed, same & (sample == int(row >= 4)))


def test_a_decoder_with_windows_of_its_own_looks_no_farther():
    decoder = SelfDecoder(width=16, depth=1, heads=2, window=(2.0, None))
    module = built(decoder)
    latents, question = case([(4, 5), (3, 2)])
    answer = module(latents, question)
    box = torch.cat([question.coords, question.ask_coords])[:, 0].div(2).floor()
    owner = torch.tensor([0] * 4 + [1] * 3 + [0] * 5 + [1] * 2)
    for row in range(7):
        x = latents.x.clone()
        x[row + 1 + int(row >= 4)] += 1.0  # one register before each sample
        changed = (module(replace(latents, x=x), question) - answer).abs().amax(1) > 1e-6
        assert torch.equal(changed, ((box == box[row]) & (owner == owner[row]))[7:])


def test_a_decoder_with_endless_windows_is_one_without():
    latents, question = case([(4, 5), (3, 2)])
    torch.manual_seed(0)
    boxed = SelfDecoder(width=16, depth=2, heads=2, window=(None,), global_every=2).build(
        ENCODER, partial(SinCosPosition().build, 2)
    )
    torch.manual_seed(0)
    free = SelfDecoder(width=16, depth=2, heads=2).build(
        ENCODER.model_copy(update={"cls": False}), partial(SinCosPosition().build, 2)
    )
    latents = replace(latents, x=latents.tokens(), segments=latents.of_tokens,
                      of_lead=segments([0, 0]))  # fmt: skip
    close(boxed(latents, question), free(latents, question))


def test_windows_of_no_size_are_refused():
    with pytest.raises(ValueError, match="window sizes must be positive"):
        SelfDecoder(window=(0.0,))


def test_the_linear_decoder_reads_rows_of_the_encoder():
    latents, question = case([(4, 2), (3, 1)])
    answer = built(BLOCKS["linear"])(latents, question)
    assert torch.equal(answer, latents.tokens()[question.ask_rows])


@pytest.mark.parametrize("name", ["self", "cross"])
def test_where_a_token_is_asked_matters(name):
    module = built(BLOCKS[name])
    latents, question = case([(4, 2)])
    moved = replace(question, ask_coords=question.ask_coords + 1)
    assert not torch.allclose(module(latents, question), module(latents, moved), atol=1e-3)


def test_a_cross_block_reads_its_memory_as_torch_does():
    block = shaken(CrossBlock(16, 24, 2, 2.0, 1e-6))
    attention = torch.nn.MultiheadAttention(16, 2, kdim=24, vdim=24, batch_first=True)
    part = block.attention
    attention.q_proj_weight.data = part.query.weight.data
    attention.k_proj_weight.data, attention.v_proj_weight.data = part.key_value.weight.chunk(2)
    attention.in_proj_bias.data = torch.cat([part.query.bias, part.key_value.bias]).data
    attention.out_proj = part.project
    x, memory = torch.randn(3, 16), torch.randn(5, 24)
    y = x + attention(block.norm_1(x)[None], memory[None], memory[None])[0][0]
    close(block(x, segments([3]), memory, segments([5])), y + block.mlp(block.norm_2(y)))


# Sizes


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ("nano", (32, 1, 1)),
        ("tiny", (96, 4, 3)),
        ("small", (192, 4, 6)),
        ("base", (512, 8, 16)),
        ("large", (512, 8, 16)),
        ("huge", (512, 8, 16)),
    ],
)
def test_a_decoder_follows_the_encoder(size, wanted):
    assert SelfDecoder().sized(SIZES[size]) == wanted
    assert CrossDecoder().out_width(SIZES[size]) == wanted[0]


def test_what_is_given_is_used():
    assert SelfDecoder(width=64, depth=3).sized(SIZES["base"]) == (64, 3, 2)
    assert SelfDecoder(heads=4).sized(SIZES["tiny"]) == (96, 4, 4)
    assert LinearDecoder().out_width(SIZES["tiny"]) == 192
