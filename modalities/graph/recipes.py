"""Recipes for graphs: GraphMAE."""

from __future__ import annotations

from anymae.config import TrainingConfig
from anymae.corruption import MaskToken
from anymae.decoders import EdgeDecoder
from anymae.losses import CosineLoss
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.positions import NoPosition
from anymae.recipe import Recipe
from anymae.targets import Content

GRAPHMAE = Recipe(
    name="graphmae",
    paper="Hou et al., GraphMAE: Self-Supervised Masked Graph Autoencoders, KDD 2022",
    year=2022,
    summary="Mask tokens at half of the nodes; what the encoder made of them is hidden again "
    "before a decoder of one layer rebuilds their features from their neighbours.",
    differs="Dot-product attention along edges in pre-norm transformer blocks, not GAT or GIN; a "
    "hidden node is always a mask token (5 to 10 % take another node's features there); the "
    "decoder gets a learned vector, not zeros, for hidden nodes; no dropout; decoupled weight "
    "decay, and warm-up for 5 % of the run.",
    position=NoPosition(),
    mask=Mask(budget=RatioBudget(ratio=0.5)),
    corruption=MaskToken(),
    decoder=EdgeDecoder(depth=1),
    target=Content(),
    loss=CosineLoss(power=3.0),
    training=TrainingConfig(lr=1e-3, betas=(0.9, 0.999), weight_decay=2e-4),
)

RECIPES = (GRAPHMAE,)
