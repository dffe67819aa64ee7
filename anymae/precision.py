"""Number formats: which one a device is fast in, and computing in it.

Weights and optimiser state stay in float32; matrix products run in the chosen format.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch

from anymae.errors import BadConfig

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
WORTH_IT = 1.5
"""Speed-up of bfloat16 matrix products from which a CPU uses them."""


def resolve(precision: str, device: torch.device) -> str:
    """``"fp32"``, ``"bf16"`` or ``"fp16"`` from those or ``"auto"``. Raises ``BadConfig``."""
    if precision == "auto":
        return "bf16" if _fast_in_bf16(device.type) else "fp32"
    if precision not in DTYPES:
        raise BadConfig(
            "unknown precision", found=repr(precision), expected=f"auto, {', '.join(DTYPES)}"
        )
    return precision


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """Run matrix products in ``precision`` inside this context."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, DTYPES[precision])


@cache
def _fast_in_bf16(device_type: str) -> bool:
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device_type == "cpu" and bf16_speedup() >= WORTH_IT


@cache
def bf16_speedup() -> float:
    """Measured on this CPU: time of a float32 matrix product over that of a bfloat16 one (about
    1 or far below without hardware for it, 4 with AVX512-BF16, 7 with AMX)."""
    return _matmul_seconds(torch.float32) / _matmul_seconds(torch.bfloat16)


def _matmul_seconds(dtype: torch.dtype) -> float:
    a = torch.ones(384, 384, dtype=dtype)
    a @ a
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return best
