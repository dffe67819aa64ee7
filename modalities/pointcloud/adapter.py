"""The point cloud adapter: neighbourhoods around far points, or voxels, of any number of points.

A cloud is a set: neither tokens nor features depend on the order of its points.

Shapes: n points of C numbers: A axes (x, y, z, perhaps time), then features. K points a token.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from anymae.modalities.pointcloud import geometry
from anymae.modalities.pointcloud.augment import moved, stretched, thinned, turned
from anymae.modalities.pointcloud.drawing import draw_cloud
from anymae.modalities.pointcloud.embedding import MiniPointNet, spread_out
from anymae.modalities.pointcloud.files import EXTENSIONS, read_cloud
from anymae.modalities.pointcloud.groups import group_counts, groups
from anymae.modalities.pointcloud.options import PointCloudOptions
from anymae.modalities.pointcloud.placing import (
    Normalise,
    centre_of,
    placed,
    principal_axes,
    radius_of,
)
from anymae.modalities.pointcloud.points import points_of
from anymae.modalities.pointcloud.summary import summary
from anymae.modalities.pointcloud.survey import survey
from anymae.modalities.pointcloud.voxels import fitting_size, voxels
from anymae.registry import register
from anymae.tokens import OBSERVED, Packed, Tokens

LOOK = 1 << 20
"""Numbers of tokens from which their spread is learned."""


@register
class PointCloudAdapter(PointCloudOptions):
    """Point clouds, meshes and sweeps of any size. See ``PointCloudOptions`` for the fields."""

    name: ClassVar[str] = "pointcloud"
    extensions: ClassVar[tuple[str, ...]] = EXTENSIONS
    provides: ClassVar[frozenset[str]] = frozenset({"sets"})
    fit_samples: ClassVar[int] = 256

    @property
    def token_shape(self) -> tuple[int, int]:
        """(points, numbers a point)."""
        per_token = self.points_per_voxel
        if self.tokens == "groups":
            per_token = self.fitted("group_size")
        return per_token, self.axes + self.fitted("features")

    @property
    def token_dim(self) -> int:
        points, numbers = self.token_shape
        return points * numbers

    @property
    def coord_dim(self) -> int:
        return self.axes

    def example(self, seed: int) -> np.ndarray:
        """A (256, C) cloud: the surface of an ellipsoid, C what the adapter was fitted to."""
        draw = np.random.default_rng(seed)
        ball = draw.normal(size=(256, 3))
        ball /= np.linalg.norm(ball, axis=1, keepdims=True)
        rest = draw.normal(size=(256, self.axes - 3 + (self.features or 0)))
        if self.normals and rest.shape[1] >= 3:
            rest[:, :3] = ball
        cloud = np.concatenate([ball * draw.uniform(0.5, 2, size=3), rest], 1)
        return cloud.astype(np.float32)

    # -- data -------------------------------------------------------------------------------

    def native(self, dataset: Any) -> Sequence[Any] | None:
        return [dataset] if geometry.is_geometry(dataset) else None

    def read(self, file: BinaryIO, name: str) -> Any:
        return read_cloud(file, name, self.point_limit, self.bin_columns)

    def fit(self, samples: Iterable[Any]) -> Self:
        dtypes: set[str] = set()

        def clouds() -> Iterable[np.ndarray]:
            for sample in samples:
                dtypes.add(str(getattr(sample, "dtype", "float32")).removeprefix("torch."))
                yield self._points(sample)

        found = survey(clouds(), self.axes)
        of_voxels: Normalise = "centre" if self.align else "none"
        normalise = self.normalise or ("sphere" if self.tokens == "groups" else of_voxels)
        learned = {
            "normalise": normalise,
            "stretch": self.stretch or ((2 / 3, 1.5) if self.tokens == "groups" else (0.95, 1.05)),
            "features": found.features,
            "feature_mean": self.feature_mean or found.feature_mean,
            "feature_std": self.feature_std or found.feature_std,
            "origin": self.origin or found.origin,
            "scale": self.scale or (found.scale if normalise == "none" else found.own_scale),
            "time_scale": self.time_scale or found.time_scale,
            "dtype": self.dtype or ("float64" if "float64" in dtypes else "float32"),
        }
        adapter = self.model_copy(update=learned)
        return adapter.model_copy(update=adapter._token_sizes(found.kept))

    def augment(self, sample: Any, generator: torch.Generator) -> np.ndarray:
        points = self._points(sample)
        normals = slice(self.axes, self.axes + 3) if self.normals else None
        points = thinned(points, self.sample_points, generator)
        points = turned(points, self.rotate, self.up, normals, generator)
        points = stretched(points, self.fitted("stretch"), normals, generator)
        return moved(points, self.shift, generator)

    def tokenize(self, sample: Any) -> Tokens:
        return self.batch_tokenize([sample]).split()[0]

    def batch_tokenize(self, samples: Sequence[Any], device: torch.device | str = "cpu") -> Packed:
        clouds, contexts = zip(*map(self._placed, samples), strict=True)
        on_device = [torch.from_numpy(cloud).to(device) for cloud in clouds]
        if self.tokens == "voxels":
            sizes = torch.tensor(self.fitted("voxel_size"), device=device)
            packed = Packed.of(
                [voxels(c, sizes, self.points_per_voxel, self.max_voxels) for c in on_device]
            )
        else:
            size = self.fitted("group_size")
            counts = group_counts([len(c) for c in clouds], size, self.overlap, self.max_groups)
            packed = groups(on_device, self.axes, size, self.fitted("spread"), counts)
        context = {
            name: torch.from_numpy(np.stack([c[name] for c in contexts])).to(device)
            for name in contexts[0]
        }
        return Packed(packed.values, packed.coords, packed.segments, packed.side, context)

    def untokenize(self, tokens: Tokens) -> np.ndarray:
        """(n, C) points of all tokens, in the data's own units. A point of several groups comes
        back as often; points of hidden tokens (NaN) are left out."""
        points = self._members(tokens)
        there = tokens.side[OBSERVED].unflatten(1, self.token_shape)[..., 0]
        cloud = points[there & points.isfinite().all(-1)].cpu().double().numpy()
        unit = self._units(float(tokens.context["scale"]))
        where = cloud[:, : self.axes] * unit
        features = cloud[:, self.axes :] * np.asarray(self.fitted("feature_std"))
        features = features + np.asarray(self.fitted("feature_mean"))
        if self.align:
            back = tokens.context["turn"].cpu().double().numpy().T
            where[:, :3] = where[:, :3] @ back
            if self.normals:
                features[:, :3] = features[:, :3] @ back
        where += tokens.context["centre"].cpu().double().numpy()
        return np.concatenate([where, features], 1).astype(self.fitted("dtype"))

    def raw_features(self, tokens: Tokens) -> Tensor:
        return summary(torch.from_numpy(self.untokenize(tokens)).double(), self.axes)

    # -- model ------------------------------------------------------------------------------

    def numbers(self, recipe: str) -> Mapping[str, Any]:
        if recipe not in ("mae", "simmim"):
            return {}
        ours: dict[str, Any] = {"loss": "chamfer", "loss.axes": self.axes,
                                "target.normalise": "none"}  # fmt: skip
        if self.tokens == "voxels":
            return ours | {"mask.ratio": 0.7, "encoder.layout": "window",
                           "encoder.window": (16.0, 16.0, 16.0)}  # fmt: skip
        if recipe == "simmim":  # coordinates of groups are of order one
            ours["mask.groups.size"] = 0.5
        return ours | {"position": "mlp", "mask.ratio": 0.6}

    def embed(self, width: int) -> nn.Module:
        return MiniPointNet(*self.token_shape, width)

    def as_content(self, prediction: Tensor, asked: Packed) -> Tensor:
        points = prediction.float().unflatten(1, self.token_shape)
        return spread_out(points, self.axes).flatten(1)

    def draw(self, axes: Any, sample: Any) -> None:
        """Groups are seen from a little above, voxels from the top; near points are light."""
        elevation = 25.0 if self.tokens == "groups" else 89.0
        draw_cloud(axes, np.asarray(sample), self.up, elevation, -60.0)

    # -- details ----------------------------------------------------------------------------

    def _points(self, sample: Any) -> np.ndarray:
        """A sample as its points (n, C) float64, in the order of their numbers."""
        return points_of(
            sample,
            axes=self.axes,
            features=self.features,
            mesh_points=self.mesh_points,
            normals=self.normals,
            attributes=self.attributes,
            drop_invalid=self.drop_invalid,
            extent=self.extent,
        )

    def _placed(self, sample: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """A cloud (n, C) float32 around 0 with standardised features, and what undoes that."""
        points = self._points(sample)
        normalise = self.fitted("normalise")
        centre = centre_of(points, self.axes, normalise, self.fitted("origin"))
        scale = self.fitted("scale")
        if normalise == "sphere":
            scale = radius_of(points, centre)
        if self.tokens == "voxels":
            scale = 1.0
        turn = principal_axes(points, centre) if self.align else None
        where = placed(points, centre, self._units(scale), turn)
        features = points[:, self.axes :]
        if turn is not None and self.normals:
            features[:, :3] = features[:, :3] @ turn
        features = features - np.asarray(self.fitted("feature_mean"))
        features = (features / np.asarray(self.fitted("feature_std"))).astype(np.float32)
        context = {"centre": centre, "scale": np.array(scale, np.float32)}
        if turn is not None:
            context["turn"] = turn.astype(np.float32)
        return np.concatenate([where, features], 1), context

    def _units(self, scale: float) -> np.ndarray:
        """(A,) the data's units in one of ours."""
        return np.array([scale] * 3 + [self.fitted("time_scale") / self.time_weight])[: self.axes]

    def _members(self, tokens: Tokens) -> Tensor:
        """(n, K, C): the tokens' points as ``_placed`` had them."""
        points = tokens.values.float().unflatten(1, self.token_shape).clone()
        if self.tokens == "voxels":
            sizes = torch.tensor(self.fitted("voxel_size"), device=points.device)
            reach, centres = sizes / 2, (tokens.coords + 0.5) * sizes
        else:
            reach, centres = self.fitted("spread"), tokens.coords
        points[..., : self.axes] = points[..., : self.axes] * reach + centres[:, None]
        return points

    def _token_sizes(self, clouds: Sequence[np.ndarray]) -> dict[str, Any]:
        """Sizes that were not given, from what tokens of some clouds are like."""
        if self.tokens == "voxels":
            places = [self._placed(cloud)[0][:, :3] for cloud in clouds]
            return {"voxel_size": self.voxel_size or (fitting_size(places, self.max_voxels),) * 3}
        median = int(np.median([len(cloud) for cloud in clouds]))
        size = self.group_size or min(32, max(4, median // 16))
        trial = self.model_copy(update={"group_size": size, "spread": 1.0})
        return {"group_size": size, "spread": self.spread or trial._own_spread(clouds)}

    def _own_spread(self, clouds: Sequence[np.ndarray]) -> float:
        """The root mean square offset of points from their group's centre, along an axis."""
        total, count = 0.0, 0
        for cloud in clouds:
            tokens = self.tokenize(cloud)
            points, there = (
                x.unflatten(1, self.token_shape)[..., : self.axes]
                for x in (tokens.values, tokens.side[OBSERVED])
            )
            total, count = total + float(points.double().square().sum()), count + int(there.sum())
            if count > LOOK:
                break
        return (total / count) ** 0.5 or 1.0
