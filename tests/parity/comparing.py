"""What parity means for gradients."""

from collections.abc import Mapping

from torch import Tensor


def same_gradients(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """The same parameters, and gradients that differ by a hundred-thousandth of their scale at
    most."""
    assert found.keys() == wanted.keys()
    for name, gradient in found.items():
        scale = float(wanted[name].abs().max())
        assert scale > 0, f"{name}: a gradient of zero proves nothing"
        difference = float((gradient - wanted[name]).abs().max())
        assert difference <= 1e-5 * scale + 1e-7, f"{name}: {difference} of {scale}"
