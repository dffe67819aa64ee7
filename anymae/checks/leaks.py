"""Promises that hidden content stays hidden: in coordinates, in neighbours, in the model.

Shapes: T tokens, F numbers a token, P coordinates a token.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from anymae.adapter import Adapter
from anymae.checks.case import BATCH, BrokenPromise, Case, NotAsked, keyed
from anymae.checks.comparing import farthest
from anymae.checks.tokenizing import ROUNDING, round_trip, share_lost
from anymae.tokens import OBSERVED, Packed, Tokens

TOLD = 0.9
"""The share of a number's variance that coordinates may not tell."""
NEIGHBOURS = (1, 4, 16)
TOKENS, NUMBERS = 4096, 256
"""How many tokens, and numbers of each, are looked at."""


def check_coordinates_do_not_carry_the_answer(case: Case) -> None:
    """Where a token is does not say what it holds: a hidden token's coordinates are known.

    From the coordinates of three quarters of the examples, nearest neighbours and a quadratic
    ridge regression predict the contents of the others. No number of a token may have more than
    90 % of its variance told. An answer in the last digits of a coordinate is not found; contents
    that are the same in every sample are, and rightly: they are no task either.
    """
    if not case.fitted.coord_dim:
        raise NotAsked("tokens have no coordinates")
    split = len(case.tokens) * 3 // 4
    places, contents = _places_and_contents(case, case.tokens[:split])
    known, asked = _places_and_contents(case, case.tokens[split:])
    mean, scale = places.mean(0), places.std(0).clamp(min=1e-9)
    places, known = (places - mean) / scale, (known - mean) / scale
    filled = torch.where(contents.isnan(), contents.nanmean(0).nan_to_num(), contents)
    told = torch.stack([_told(guess, asked) for guess in _guesses(places, filled, known)]).amax(0)
    worst = int(told.argmax())
    if told[worst] > TOLD:
        raise BrokenPromise(
            "coordinates tell what a hidden token holds",
            found=f"{told[worst]:.1%} of the variance of a token's number {worst} is predicted "
            "from coordinates alone, on examples not learned from",
            hint="Take the content out of the coordinates, or out of the content what its place "
            "tells (e.g. hold points relative to their centre).",
        )


def _places_and_contents(case: Case, samples: list[Tokens]) -> tuple[Tensor, Tensor]:
    """(T, P) coordinates and (T, F) contents, NaN where not observed; at most ``TOKENS`` tokens
    and ``NUMBERS`` numbers."""
    packed = Packed.of(samples)
    contents = case.fitted.target(packed).double()
    if OBSERVED in packed.side:
        contents = contents.masked_fill(~packed.side[OBSERVED], float("nan"))
    rows = torch.arange(0, len(contents), max(1, len(contents) // TOKENS))
    columns = torch.arange(0, contents.shape[1], -(-contents.shape[1] // NUMBERS))
    return packed.coords.double()[rows], contents[rows][:, columns]


def _guesses(places: Tensor, contents: Tensor, known: Tensor) -> Iterator[Tensor]:
    """Contents predicted at ``known`` places from (T, P) ``places`` and (T, F) ``contents``."""
    near = torch.cdist(known, places).topk(min(max(NEIGHBOURS), len(places)), largest=False)
    for count in NEIGHBOURS:
        yield contents[near.indices[:, :count]].mean(1)
    terms, asked = _quadratic(places), _quadratic(known)
    gram = terms.T @ terms + 1e-6 * len(terms) * torch.eye(terms.shape[1]).double()
    yield asked @ torch.linalg.solve(gram, terms.T @ contents)


def _quadratic(places: Tensor) -> Tensor:
    """1, x, and products of two coordinates (of squares only, where there are many)."""
    count = places.shape[1]
    pairs = torch.combinations(torch.arange(count), 2, with_replacement=True)
    products = places.square() if count > 16 else places[:, pairs].prod(-1)
    return torch.cat([torch.ones(len(places), 1).double(), places, products], 1)


def _told(guess: Tensor, asked: Tensor) -> Tensor:
    """(F,) the share of variance that a guess explains; minus infinity where there is none."""
    spread = (asked - asked.nanmean(0)).square().nansum(0)
    there = spread > 1e-4 * spread.mean() + 1e-12
    told = 1 - (guess - asked).square().nansum(0) / spread.clamp(min=1e-12)
    return told.masked_fill(~there, float("-inf"))


def check_visible_tokens_hold_nothing_hidden(case: Case) -> None:
    """What is seen does not change when hidden content is replaced in the sample itself: tokens do
    not overlap, hold no differences to their neighbours, and are not scaled by their sample.

    Needs an exact ``untokenize``: hidden tokens of one example are replaced by those of another,
    and the sample that results is tokenized anew.
    """
    case.ask_for("untokenize")
    adapter = case.fitted
    first, other = _alike(case)
    if first.context:
        raise NotAsked(
            f"tokens are relative to their whole sample's {', '.join(sorted(first.context))}"
        )
    if not (_is_exact(adapter, first) and _is_exact(adapter, other)):
        raise NotAsked("untokenize is not exact")
    packed = keyed([first])
    roles = case.roles(packed)
    if not len(roles.hide):
        raise NotAsked("nothing is hidden")
    values = first.values.index_copy(0, roles.hide, other.values[roles.hide])
    side = {
        k: t.index_copy(0, roles.hide, other.side[k][roles.hide]) for k, t in first.side.items()
    }
    found = round_trip(adapter, replace(first, values=values, side=side))[1]
    if found.coords.shape != first.coords.shape or farthest(found.coords, first.coords) > ROUNDING:
        raise BrokenPromise(
            "coordinates change with hidden content",
            hint="Where a token is must not depend on what hidden tokens hold.",
        )
    for name, ours, theirs in (
        ("values", found.values, first.values),
        *((f"side[{k!r}]", found.side[k], t) for k, t in first.side.items()),
    ):
        apart = farthest(ours[roles.see], theirs[roles.see])
        if not apart <= ROUNDING * (1 + float(theirs.double().abs().max())):
            raise BrokenPromise(
                "visible tokens change with hidden content",
                found=f"{name} differ by {apart:.3g}",
                hint="Cut tokens that do not overlap, and scale them by what fit learned.",
            )


def _alike(case: Case) -> tuple[Tokens, Tokens]:
    """Two examples whose tokens are at the same places."""
    first = case.tokens[0]
    if first.edges is not None:
        raise NotAsked("tokens have edges")
    for other in case.tokens[1:]:
        if torch.equal(other.coords, first.coords) and not torch.equal(other.values, first.values):
            return first, other
    raise NotAsked("no two examples have their tokens at the same places")


def _is_exact(adapter: Adapter, tokens: Tokens) -> bool:
    """Whether tokens come back from the sample they stand for."""
    try:
        found = round_trip(adapter, tokens)[1]
    except BrokenPromise:
        return False
    same = found.coords.shape == tokens.coords.shape and torch.equal(found.coords, tokens.coords)
    return same and share_lost(found, tokens) < ROUNDING


def check_hidden_content_is_not_read(case: Case) -> None:
    """Predictions do not change when hidden tokens, and what a sample keeps to be put together
    again (``context``), are turned to NaN."""
    packed, model = case.packed, case.model()
    roles = case.roles(packed)
    spoiled = replace(
        packed,
        values=_spoiled(packed.values, roles.hide),
        side={name: _spoiled(t, roles.hide) for name, t in packed.side.items()},
        context={name: _spoiled(t, torch.arange(len(t))) for name, t in packed.context.items()},
    )
    with torch.no_grad():
        found, wanted = (model(p, roles).prediction for p in (spoiled, packed))
    if not torch.equal(found, wanted):
        raise BrokenPromise(
            "the model reads what is hidden",
            found=f"predictions that differ by {farthest(found, wanted):.3g} when it is changed",
            hint="Embed visible tokens from their own values and side; context is for untokenize.",
        )


def _spoiled(tensor: Tensor, rows: Tensor) -> Tensor:
    if tensor.dtype == torch.bool:
        spoiled = ~tensor[rows]
    else:
        spoiled = torch.full_like(tensor[rows], float("nan") if tensor.is_floating_point() else 0)
    return tensor.index_copy(0, rows, spoiled)


def check_unobserved_numbers_are_not_shown(case: Case) -> None:
    """Numbers that ``side["observed"]`` calls unknown change neither features nor losses."""
    tokens = [t for t in case.tokens if OBSERVED in t.side and not t.side[OBSERVED].all()]
    if not tokens:
        raise NotAsked("every number of the examples is observed")
    packed, model = keyed(tokens[:BATCH]), case.model()
    filled = [
        replace(packed, values=torch.where(packed.side[OBSERVED], packed.values, number))
        for number in (-3.0, 7.0)
    ]
    with torch.no_grad():
        features = [model.encode(p).x for p in filled]
        losses = [model(p, case.roles(packed)).loss for p in filled]
    for what, (ours, theirs) in (("features", features), ("losses", losses)):
        if not torch.allclose(ours, theirs, rtol=1e-5, atol=1e-5):
            raise BrokenPromise(
                f"{what} depend on numbers that are not observed",
                found=f"a difference of {farthest(ours, theirs):.3g}",
                hint="In embed, multiply values by the mask, and give the mask as input beside "
                "them; in content_loss, pass it to the loss.",
            )
