"""Recipes of sets of points beside Point-MAE."""

from __future__ import annotations

from anymae.decoders import CrossDecoder, SelfDecoder
from anymae.goals import Goal
from anymae.losses import AbsoluteLoss, ChamferLoss, SmoothLoss
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.positions import MlpPosition
from anymae.recipe import Recipe
from anymae.targets import Count, Surface

MASKFEAT3D = Recipe(
    name="maskfeat3d",
    paper="Yan et al., 3D Feature Prediction for Masked-AutoEncoder-Based Point Cloud Pretraining, "
    "ICLR 2024",
    year=2023,
    summary="How the surface of a hidden set lies and bends, not where its points are.",
    differs="One normal and one variation of each set, from its own points, not of every point "
    "from a mesh and 128 neighbours, so normals have no sign; asked tokens read the seen and not "
    "one another; positions are added once.",
    position=MlpPosition(),
    mask=Mask(budget=RatioBudget(ratio=0.6)),
    decoder=CrossDecoder(depth=4),
    target=Surface(),
    loss=AbsoluteLoss(),
)

VOXELMAE = Recipe(
    name="voxelmae",
    paper="Hess et al., Masked Autoencoder for Self-Supervised Pre-training on Lidar Point Clouds, "
    "WACV Workshops 2023",
    year=2022,
    summary="The points of hidden cells, and how many there are.",
    differs="Cells need modality_options tokens=voxels; no empty cells to be told from others; an "
    "exact share is hidden; a cell's first points are counted, up to points_per_voxel; attention "
    "has windows only where the encoder is given them; pre-norm blocks.",
    mask=Mask(budget=RatioBudget(ratio=0.7)),
    loss=ChamferLoss(),
    also=(Goal(decoder=SelfDecoder(), target=Count(), loss=SmoothLoss()),),
)

RECIPES = (MASKFEAT3D, VOXELMAE)
