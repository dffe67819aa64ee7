"""Recipes that predict the hidden content itself: MAE and SimMIM."""

from __future__ import annotations

from anymae.config import TrainingConfig
from anymae.corruption import MaskToken
from anymae.decoders import LinearDecoder
from anymae.losses import AbsoluteLoss
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.masks.groups import BlockGroups
from anymae.recipe import Recipe
from anymae.targets import Content

MAE = Recipe(
    name="mae",
    paper="He et al., Masked Autoencoders Are Scalable Vision Learners, CVPR 2022",
    year=2022,
    summary="Drop most tokens before the encoder; a small decoder rebuilds them.",
    differs="No weight decay on the decoder's mask token; the learning rate falls with the square "
    "root of the batch from the paper's 2.4e-3 at 4,096 samples, not linearly; warm-up is 5 % of "
    "the run, whatever its length.",
    target=Content(normalise="token"),
)

SIMMIM = Recipe(
    name="simmim",
    paper="Xie et al., SimMIM: A Simple Framework for Masked Image Modeling, CVPR 2022",
    year=2022,
    summary="Mask tokens inside the encoder, a linear head, absolute error on raw content.",
    differs="ViT form only; absolute sin-cos positions instead of a shared relative bias, no "
    "layer scale; blocks of 2 x 2 tokens (32 pixels at patch 16) on any grid; the learning "
    "rate scales with the square root of the batch and follows a cosine.",
    mask=Mask(groups=BlockGroups(size=2), budget=RatioBudget(ratio=0.6)),
    corruption=MaskToken(),
    decoder=LinearDecoder(),
    loss=AbsoluteLoss(),
    training=TrainingConfig(base_lr=4e-4, lr_batch=2048, clip=5.0, betas=(0.9, 0.999)),
)

RECIPES = (MAE, SIMMIM)
