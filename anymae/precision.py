"""Number formats: which one a device is fast in, and computing in it.

Weights and optimiser state stay in float32; matrix products run in the chosen format.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Literal

import torch

from anymae.errors import BadConfig

Precision = Literal["fp32", "bf16", "fp16"]
DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
_CPU_UNITS = ("amx_bf16", "avx512_bf16", "arm_bf16", "arm_sve_bf16")
"""Instructions with which bfloat16 matrix products are several times faster than float32 ones:
4 times with AVX512-BF16, 7 with AMX (``anymae doctor`` measures it)."""


def resolve(precision: str, device: torch.device) -> Precision:
    """``"fp32"``, ``"bf16"`` or ``"fp16"`` from those or ``"auto"``, which never is the last: it
    needs its loss scaled. Raises ``BadConfig``."""
    if precision == "auto":
        return "bf16" if _fast_in_bf16(device.type) else "fp32"
    if precision not in DTYPES:
        raise BadConfig(
            "unknown precision", found=repr(precision), expected=f"auto, {', '.join(DTYPES)}"
        )
    return precision


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[None]:
    """Run matrix products in ``precision`` inside this context."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, DTYPES[precision])


@cache
def _fast_in_bf16(device_type: str) -> bool:
    """What the device says it has, not a timing: the same machine must always answer the same."""
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device_type != "cpu":
        return False
    units = torch.cpu.get_capabilities()
    return any(units.get(name, False) for name in _CPU_UNITS)


def bf16_speedup() -> float:
    """Measured on this CPU: time of a float32 matrix product over that of a bfloat16 one."""
    return _matmul_seconds(torch.float32) / _matmul_seconds(torch.bfloat16)


def _matmul_seconds(dtype: torch.dtype) -> float:
    a = torch.ones(1024, 1024, dtype=dtype)
    a @ a
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return best
