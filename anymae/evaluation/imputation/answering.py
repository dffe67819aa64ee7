"""Answering: what a model says that some tokens hold, given others.

Shapes: T tokens, S seen, A asked, F numbers a token.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anymae.errors import BadConfig
from anymae.kernels.segments import Segments
from anymae.masks import Roles
from anymae.model import Model
from anymae.precision import Precision, autocast
from anymae.targets import Content
from anymae.tokens import Packed


def refuse_other_targets(model: Model) -> None:
    """Raise ``BadConfig`` unless the model predicts content in the adapter's own numbers."""
    target = model.recipe.target
    if not isinstance(target, Content):
        raise BadConfig(
            f"recipe {model.recipe.name!r} predicts {target.kind}, which is not the sample itself",
            hint="Only recipes with target=content can impute.",
        )
    if target.normalise != "none":
        raise BadConfig(
            "a target normalised by token needs the statistics of what is missing",
            found=f"target.normalise={target.normalise}",
            hint="Pretrain with target.normalise=none.",
        )


@torch.no_grad()
def answers(model: Model, packed: Packed, hidden: Tensor, precision: Precision) -> Tensor:
    """(A, F) the content of the tokens where ``hidden`` (T,), in one pass in which they are not
    given. Every sample must have a token that is not hidden."""
    device = next(model.parameters()).device
    packed, hidden = packed.to(device), hidden.to(device)
    roles = _roles(packed, hidden)
    was_training = model.training
    model.eval()
    try:
        with autocast(device, precision):
            prediction = model(packed, roles).prediction
    finally:
        model.train(was_training)
    asked = packed.select(roles.ask, roles.of_ask)
    return model.adapter.as_content(prediction.float(), asked).cpu()


def _roles(packed: Packed, hidden: Tensor) -> Roles:
    owner = packed.segments.ids(packed.device)
    cut = torch.bincount(owner[hidden], minlength=len(packed)).cpu()
    of_hide = Segments.of_lengths(cut)
    of_see = Segments.of_lengths(packed.segments.lengths - cut)
    see, hide = (~hidden).nonzero()[:, 0], hidden.nonzero()[:, 0]
    return Roles(see, of_see, hide, of_hide, hide, of_hide)
