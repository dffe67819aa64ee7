"""Limits: how much an input may claim before anything is decoded.

Small files can claim to be huge ones. Every reader compares what a header says with these numbers
first and refuses with a ``BadInput``; nothing is allocated on the word of a header. All numbers
can be overridden: ``LIMITS.model_copy(update={"zip_ratio": 1000})``.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

MB: Final = 10**6
GB: Final = 10**9


class Limits(BaseModel):
    """The largest inputs that are read. Byte counts are of decoded data unless noted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_pixels: PositiveInt = 64 * MB
    image_side: PositiveInt = 16_384
    audio_seconds: PositiveInt = 6 * 3600
    """Seconds times channels."""
    audio_bytes: PositiveInt = 2 * GB
    points: PositiveInt = 50 * MB
    csv_field_bytes: PositiveInt = 1 * MB
    csv_columns: PositiveInt = 100_000
    graph_nodes: PositiveInt = 50 * MB
    """Of a graph without node features, whose size nothing in the file bears out."""
    magnitude: PositiveFloat = 1e30
    """Numbers further from 0 are taken for damage: their squares leave the finite numbers."""
    json_bytes: PositiveInt = 64 * MB
    json_depth: PositiveInt = 100
    yaml_aliases: PositiveInt = 10
    safetensors_header_bytes: PositiveInt = 100 * MB

    zip_member_bytes: PositiveInt = 4 * GB
    zip_ratio: PositiveInt = 200
    """Decoded to stored bytes, asked of members larger than ``zip_ratio_from_bytes``."""
    zip_ratio_from_bytes: PositiveInt = 64 * MB
    """Sorted labels and empty images compress a thousandfold and are harmless while small."""

    tar_header_bytes: PositiveInt = 1 * MB
    """One extended header (a long name) of a tar member."""
    label_bytes: PositiveInt = 1 * MB
    """One label file inside a shard."""
    parquet_group_values: PositiveInt = 100 * MB
    """Values in one row group: the unit in which Parquet is decoded."""
    parquet_kept_bytes: PositiveInt = 512 * MB
    """Decoded row groups kept by each process; the one in use is kept whatever its size."""
    pattern_files: PositiveInt = 1 * MB
    """Paths that a ``{00..99}`` pattern may name."""
    stream_samples: PositiveInt = 1 * MB
    """Samples of an iterable data set that are read into memory."""
    stream_bytes: PositiveInt = 2 * GB


LIMITS: Final = Limits()
