"""Attention among the tokens of each sample of a packed batch (block-diagonal attention).

``reference`` is the definition; ``dense``, ``grouped`` and ``varlen`` are faster ways to the same
numbers; ``dispatch`` chooses among them and can say why.
"""

from anymae.kernels.attention.dispatch import attention, choose

__all__ = ["attention", "choose"]
