"""The options of the point cloud adapter, and what it learns from data: its saved fields."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from anymae.adapter import Adapter
from anymae.limits import LIMITS
from anymae.modalities.pointcloud.augment import Rotate, Up
from anymae.modalities.pointcloud.placing import Normalise
from anymae.modalities.pointcloud.points import Extent


class PointCloudOptions(Adapter):
    """How clouds become tokens.

    ``tokens="groups"`` (Point-MAE): ``group_size`` nearest points around far centres, as many
    groups as hold the cloud ``overlap`` times, at most ``max_groups``. ``tokens="voxels"``
    (Voxel-MAE): occupied cells of ``voxel_size`` in the data's units, at most ``max_voxels``, with
    at most ``points_per_voxel`` points each.

    ``normalise="sphere"`` moves each cloud to its mean and into the unit sphere; ``"centre"`` moves
    it but divides by one scale learned from the data, so that sizes stay comparable; ``"none"``
    also keeps places. ``align`` turns each cloud into its own principal axes. ``axes=4``: the
    fourth number is time, which counts for nearness ``time_weight`` times. ``extent`` (three
    lowest, three highest) crops. ``normals`` and ``attributes`` say what files and Open3D clouds
    give beside places.

    Pretraining turns clouds (``rotate`` about ``up``, or any axis), stretches each axis by
    U(``stretch``), moves them by up to ``shift`` and draws ``sample_points`` of them. Fields that
    are None are chosen or learned from the data by ``fit``.
    """

    tokens: Literal["groups", "voxels"] = "groups"
    group_size: PositiveInt | None = None
    overlap: PositiveFloat = 2.0
    max_groups: PositiveInt = 512
    voxel_size: tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None = None
    points_per_voxel: PositiveInt = 16
    max_voxels: PositiveInt = 4096

    normalise: Normalise | None = None
    align: bool = False
    axes: Literal[3, 4] = 3
    time_weight: PositiveFloat = 1.0
    extent: Extent | None = None
    normals: bool = False
    attributes: tuple[str, ...] = ()
    drop_invalid: bool = False
    mesh_points: PositiveInt = 2048
    bin_columns: int = Field(default=4, ge=3)
    point_limit: PositiveInt = LIMITS.points

    rotate: Rotate = "up"
    up: Up = "z"
    stretch: tuple[PositiveFloat, PositiveFloat] | None = None
    shift: float = Field(default=0.0, ge=0)
    sample_points: PositiveInt | None = None

    features: int | None = Field(default=None, ge=0)
    feature_mean: tuple[float, ...] | None = None
    feature_std: tuple[PositiveFloat, ...] | None = None
    origin: tuple[float, float, float] | None = None
    scale: PositiveFloat | None = None
    time_scale: PositiveFloat | None = None
    spread: PositiveFloat | None = None
    dtype: Literal["float32", "float64"] | None = None

    @field_validator("voxel_size", mode="before")
    @classmethod
    def _cube(cls, value: Any) -> Any:
        return (value,) * 3 if isinstance(value, int | float) else value

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.tokens == "voxels" and self.normalise == "sphere":
            raise ValueError("voxels have a size: normalise=sphere, which takes sizes away, has no "
                             "place with tokens=voxels")  # fmt: skip
        if self.tokens == "voxels" and self.axes == 4:
            raise ValueError("axes=4 needs tokens=groups: voxels are cells of space")
        if self.align and self.normalise == "none":
            raise ValueError("align=True turns clouds about their means: it needs normalise=centre "
                             "or sphere")  # fmt: skip
        if self.extent and any(
            a >= b for a, b in zip(self.extent[:3], self.extent[3:], strict=True)
        ):
            raise ValueError(f"extent is (lowest x, y, z, highest x, y, z), found {self.extent}")
        return self
