"""Loss: how far a prediction is from its target, one number a token.

They are summed over asked tokens and divided by the global count of a step by whoever trains:
an average of averages would weigh samples by their luck.

Shapes: A asked tokens, F numbers a token.
"""

from __future__ import annotations

from torch import Tensor

from anymae.parts import Part


class Loss(Part, slot="loss"):
    """A part that scores predictions."""

    def per_token(
        self,
        prediction: Tensor,
        target: Tensor,
        observed: Tensor | None = None,
        shape: tuple[int, ...] = (),
    ) -> Tensor:
        """(A,) from (A, F) and (A, F), in float32.

        ``observed`` (A, F) bool says which numbers of the target are known; None: all. ``shape``
        is the token's (see ``Adapter.token_shape``), for losses that look at its structure.
        """
        raise NotImplementedError


def mean_known(error: Tensor, observed: Tensor | None) -> Tensor:
    """(A,) the mean of (A, F) errors over what is observed; 0 where nothing is."""
    if observed is None:
        return error.mean(1)
    return (error * observed).sum(1) / observed.sum(1).clamp(min=1)
