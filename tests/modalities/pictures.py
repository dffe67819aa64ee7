"""Random images and adapters fitted to them, for the tests of the image adapter."""

import numpy as np

from anymae.modalities.image.adapter import ImageAdapter


def images(
    count: int = 4, shape: tuple[int, ...] = (8, 12, 3), dtype: str = "uint8", seed: int = 0
) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return [draw.normal(3, 50, shape).astype(dtype) for _ in range(count)]
    top = np.iinfo(dtype).max
    return [draw.integers(0, top, shape, dtype=dtype, endpoint=True) for _ in range(count)]


def fitted(samples: list[np.ndarray], **options) -> ImageAdapter:
    return ImageAdapter(**{"patch_size": 4, **options}).fit(samples)
