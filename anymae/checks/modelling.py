"""Promises about an adapter's part in a model: embedding, places, head, loss, recipes.

Shapes: B samples, T tokens, A asked tokens, F numbers a token.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from anymae.checks.case import BATCH, BrokenPromise, Case, NotAsked, keyed
from anymae.checks.comparing import farthest
from anymae.errors import IncompatibleRecipe
from anymae.kernels.segments import Segments
from anymae.model import Model
from anymae.registry import recipes
from anymae.storage import load
from anymae.tokens import Edges, Packed, Tokens

CLOSE = 1e-3
"""How far features may move with the order of float32 arithmetic, of order one."""


def check_batch_mates_do_not_matter(case: Case) -> None:
    """A sample's features, and in training its loss, do not depend on the others of its batch."""
    model, packed = case.model(), case.packed
    whole_loss = _losses(model, packed, case)
    with torch.no_grad():
        whole = _by_sample(model, packed)
        for i in range(len(packed)):
            alone = packed.slice(i, i + 1)
            _refuse_apart("features", _by_sample(model, alone)[0], whole[i])
            _refuse_apart("losses", _losses(model, alone, case)[0], whole_loss[i])


def _refuse_apart(what: str, alone: Tensor, among: Tensor) -> None:
    if not torch.allclose(alone, among, rtol=CLOSE, atol=CLOSE):
        raise BrokenPromise(
            f"a sample's {what} depend on its batch mates",
            found=f"a difference of {farthest(alone, among):.3g}",
            hint="No statistics over a batch: use a layer norm, not a batch norm.",
        )


def _by_sample(model: Model, packed: Packed) -> list[Tensor]:
    """Features of every token, one tensor a sample."""
    latents = model.encode(packed)
    return list(latents.tokens().split(latents.of_tokens.lengths.tolist()))


@torch.no_grad()
def _losses(model: Model, packed: Packed, case: Case) -> list[Tensor]:
    """Losses of asked tokens as in training, one tensor a sample."""
    roles = case.roles(packed)
    was_training = model.training
    output = model.train()(packed, roles)
    model.train(was_training)
    asked = packed.select(roles.ask, roles.of_ask)
    each = model.score(output.prediction, output.target, asked)
    return list(each.split(roles.of_ask.lengths.tolist()))


def check_token_order_does_not_matter(case: Case) -> None:
    """A sample's tokens are a set: listed in another order, each has the same features."""
    model = case.model()
    tokens = case.tokens[0]
    order = torch.arange(len(tokens)).flip(0).roll(len(tokens) // 3)
    with torch.no_grad():
        wanted = model.encode(keyed([tokens])).tokens()[order]
        found = model.encode(keyed([_ordered(tokens, order)])).tokens()
    if not torch.allclose(found, wanted, rtol=CLOSE, atol=CLOSE):
        raise BrokenPromise(
            "features depend on the order in which tokens are listed",
            found=f"a difference of {farthest(found, wanted):.3g}",
            hint="Say where a token is in its coordinates; embed each token by itself.",
        )


def _ordered(tokens: Tokens, order: Tensor) -> Tokens:
    edges = tokens.edges
    if edges is not None:
        assert isinstance(edges, Edges)
        edges = Edges(order.argsort()[edges.pairs], edges.values)
    side = {name: t[order] for name, t in tokens.side.items()}
    return replace(
        tokens, values=tokens.values[order], coords=tokens.coords[order], side=side, edges=edges
    )


def check_single_tokens_work(case: Case) -> None:
    """A sample of one token is seen whole and asked nothing, alone and beside others; its features
    are finite."""
    model = case.model()
    whole = case.packed
    first = torch.tensor([0])
    single = whole.slice(0, 1).select(first, Segments.of_lengths([1]))
    rest = whole.slice(1, len(whole))
    mixed = keyed([*single.split(), *rest.split()])
    with torch.no_grad():
        for packed in (single, mixed):
            roles = case.roles(packed)
            output = model(packed, roles)
            if int(roles.of_ask.lengths[0]) or not torch.isfinite(output.loss):
                raise BrokenPromise(
                    "a sample of one token is asked for, or has no finite loss",
                    found=f"{int(roles.of_ask.lengths[0])} asked, loss {float(output.loss):.3g}",
                )
            if not torch.isfinite(model.encode(packed).x).all():
                raise BrokenPromise(
                    "features of a sample of one token are not finite",
                    hint="Nothing may divide by a spread or a count less one.",
                )


def check_gradients_reach_every_parameter(case: Case) -> None:
    """After one step on the examples, every parameter has a finite gradient that is not zero
    throughout: none is unused, none is cut off."""
    model = case.model().train()
    packed = keyed(case.tokens)
    model(packed, case.roles(packed)).loss.backward()
    for name, parameter in model.named_parameters():
        if not parameter.numel():
            continue
        gradient = parameter.grad
        if gradient is None or not gradient.any():
            raise BrokenPromise(
                "a parameter learns nothing",
                where=name,
                found="no gradient" if gradient is None else "a gradient of zeros",
                hint="Use it in forward, remove it, or let example() give it something to do.",
            )
        if not torch.isfinite(gradient).all():
            raise BrokenPromise("a gradient is not finite", where=name)


def check_loss_prefers_the_truth(case: Case) -> None:
    """Predictions, contents and losses have their shapes, and saying the truth costs less than
    saying what another token holds."""
    adapter, model, packed = case.fitted, case.model(), case.packed
    roles = case.roles(packed)
    asked = packed.select(roles.ask, roles.of_ask)
    count = len(asked.values)
    with torch.no_grad():
        output = model(packed, roles)
        says = output.target
        if model.recipe.target.kind == "content":
            says = adapter.as_prediction(output.target, asked)
        truth = model.score(says, output.target, asked)
        wrong = model.score(says.roll(1, 0), output.target, asked)
    for what, found, wanted in (
        ("head", output.prediction.shape, (count, model.recipe.target.width(adapter))),
        ("target", adapter.target(asked).shape, (count, adapter.token_dim)),
        ("as_content", adapter.as_content(output.prediction, asked).shape, output.target.shape),
        ("content_loss", truth.shape, (count,)),
    ):
        if tuple(found) != tuple(wanted):
            raise BrokenPromise(
                f"{what} gives another shape",
                found=tuple(found),
                expected=tuple(wanted),
            )
    if not torch.isfinite(truth).all():
        raise BrokenPromise("the loss of the truth is not finite", found=truth.mean().item())
    if not truth.mean() < wrong.mean():
        raise BrokenPromise(
            "saying the truth costs no less than saying what another token holds",
            found=f"losses {truth.mean():.4g} and {wrong.mean():.4g}",
            hint="content_loss must be lowest for as_prediction(target).",
        )


def check_every_recipe_fits(case: Case) -> None:
    """Every published recipe takes ``numbers(recipe)``, and runs with a finite loss or refuses the
    modality as ``IncompatibleRecipe``. ``numbers`` answers before ``fit`` too, when wrong settings
    are refused early.
    """
    ran = [name for name in recipes() if _runs(case, name)]
    if not ran:
        raise NotAsked("no recipe runs on this modality")


def _runs(case: Case, name: str) -> bool:
    """Whether a recipe runs; False if it refuses the modality."""
    try:
        case.adapter.numbers(name)
    except Exception as error:
        raise BrokenPromise(
            f"numbers({name!r}) fails before fit",
            found=f"{type(error).__name__}: {error}",
            hint="pretrain asks before fit and after it: leave out what is not known yet.",
        ) from error
    try:
        model = case.model(name)
        output = model(case.packed, model.recipe.mask.draw(case.packed, model))
    except IncompatibleRecipe:
        return False
    except Exception as error:
        raise BrokenPromise(
            f"the recipe {name!r} does not run",
            found=f"{type(error).__name__}: {error}",
            hint=f"See what numbers({name!r}) says; where the modality lacks what a recipe needs, "
            "provides must not name it.",
        ) from error
    if not torch.isfinite(output.loss):
        raise BrokenPromise(f"the recipe {name!r} has no finite loss", found=output.loss.item())
    return True


def check_survives_saving(case: Case) -> None:
    """A model that was saved and loaded has the same features, bit for bit."""
    model = case.model()
    with TemporaryDirectory() as place:
        again = load(model.save(Path(place) / "model"))
    with torch.no_grad():
        pairs = [(m.encode(case.packed).x) for m in (model, again)]
    for ours, theirs in pairwise(pairs):
        if not torch.equal(ours, theirs):
            raise BrokenPromise(
                "a loaded model has other features than the saved one",
                found=f"a difference of {farthest(ours, theirs):.3g}",
                hint="Weights must be parameters or buffers, and options fields.",
            )


def check_raw_features_are_vectors(case: Case) -> None:
    """``raw_features`` gives one finite vector a sample, of one length."""
    case.ask_for("raw_features")
    rows = [case.fitted.raw_features(tokens) for tokens in case.tokens[:BATCH]]
    shapes = sorted({"None" if row is None else str(tuple(row.shape)) for row in rows})
    if len(shapes) > 1 or any(row is not None and row.ndim != 1 for row in rows):
        raise BrokenPromise("raw features are not vectors of one length", found=", ".join(shapes))
    if not all(torch.isfinite(row.double()).all() for row in rows if row is not None):
        raise BrokenPromise("raw features are not finite")
