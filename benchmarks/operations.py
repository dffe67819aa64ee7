"""How much arithmetic a step of training is: floating-point operations of its matrix products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

Shape = tuple[int, ...]


def operations(step: Callable[[], Any]) -> float:
    """Floating-point operations of matrix products in one call of ``step``, backward included."""
    aten = torch.ops.aten
    fused = {
        aten._scaled_dot_product_flash_attention_for_cpu: _attention,
        aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    }
    with FlopCounterMode(display=False, custom_mapping=fused) as counter:
        step()
    return float(counter.get_total_flops())


def _attention(q: Shape, k: Shape, v: Shape, *_: Any, **__: Any) -> int:
    """Of torch's fused kernel on CPUs, which its own counter does not know."""
    samples, heads, length, size = q
    return 2 * samples * heads * length * k[2] * (size + v[3])


def _attention_backward(gradient: Shape, q: Shape, k: Shape, v: Shape, *_: Any, **__: Any) -> int:
    """The four products that gradients need; scores computed again are not counted."""
    return 2 * _attention(q, k, v)
