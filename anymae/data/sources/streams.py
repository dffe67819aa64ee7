"""Streams: iterable data sets, read into memory up to a limit.

Without an index there is no sample by number, so a stream cannot be trained on as it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from anymae.data.sources.arrays import kind_of
from anymae.data.sources.places import placed
from anymae.errors import BadInput
from anymae.limits import Limits


def read_stream(dataset: Iterable[Any], limits: Limits) -> list[Any]:
    """All items of an iterable, with one line on stderr (of several processes the leading one's)
    that says what this costs.

    Raises ``BadInput`` past ``limits.stream_samples`` or ``limits.stream_bytes``.
    """
    name = kind_of(dataset)
    if os.environ.get("RANK", "0") == "0":
        print(
            f"warning: {name} has no index: reading it into memory; resume is exact, and several "
            "processes agree, only if it yields the same items in the same order every time",
            file=sys.stderr,
        )
    items: list[Any] = []
    size = 0
    with placed(lambda: f"{name}, item {len(items)}"):
        for item in dataset:
            size += size_of(item)
            if len(items) >= limits.stream_samples or size > limits.stream_bytes:
                raise BadInput(
                    "the stream is too long to read into memory",
                    found=f"more than {len(items)} items, {size} bytes",
                    expected=f"up to {limits.stream_samples} items, {limits.stream_bytes} bytes",
                    hint="Pass a map-style data set, a folder, tar shards or Parquet files.",
                )
            items.append(item)
    return items


def size_of(item: Any) -> int:
    """About how many bytes an item holds."""
    if isinstance(item, Mapping):
        return sum(size_of(value) for value in item.values())
    if isinstance(item, (tuple, list)):
        return sum(size_of(value) for value in item)
    if hasattr(item, "getbands") and hasattr(item, "size"):
        return item.size[0] * item.size[1] * len(item.getbands())
    return int(getattr(item, "nbytes", 0)) or sys.getsizeof(item)
