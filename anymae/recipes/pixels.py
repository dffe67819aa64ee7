"""Recipes that predict the hidden content itself: MAE, SimMIM and variants of MAE."""

from __future__ import annotations

from anymae.config import TrainingConfig
from anymae.corruption import MaskToken
from anymae.decoders import LinearDecoder, SelfDecoder
from anymae.goals import Goal
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

LOCALMIM = Recipe(
    name="localmim",
    paper="Wang et al., Masked Image Modeling with Local Multi-Scale Reconstruction, CVPR 2023",
    year=2023,
    summary="MAE whose early blocks answer too: four depths, each with a decoder of one block.",
    differs="Content of one scale at every depth, not histograms of gradients that grow coarser "
    "with depth; early blocks are read without a norm of their own; decoders follow the encoder's "
    "width.",
    decoder=SelfDecoder(depth=1),
    target=Content(normalise="token"),
    also=tuple(
        Goal(decoder=SelfDecoder(depth=1), target=Content(normalise="token"), tap=tap)
        for tap in (1, 3, -3)
    ),
)

PIXEL_TRANSFORMER = Recipe(
    name="pixel-transformer",
    paper="Nguyen et al., An Image is Worth More Than 16x16 Patches: Exploring Transformers on "
    "Individual Pixels, 2024 (PiT)",
    year=2024,
    summary="MAE whose tokens are single pixels, with learned places.",
    differs="Places are learned where all images share one size, and sines elsewhere; of a video "
    "a token is a pixel of two frames, at sines; images are not made smaller first.",
    verified=False,
    settings={"adapter.patch_size": 1},
)

BAMBOO = Recipe(
    name="bamboo",
    paper="Xue et al., A Study on Transformer Configuration and Training Objective, ICML 2023",
    year=2023,
    summary="MAE with an encoder twice as deep, and narrower, of as many weights.",
    differs="The proportions are from memory: a named size is made twice as deep, its width "
    "divided by the root of two and brought to heads of 32 numbers; a configuration stays as it "
    "is given.",
    verified=False,
    settings={"encoder.deeper": 2},
    target=Content(normalise="token"),
)

RECIPES = (MAE, SIMMIM, LOCALMIM, PIXEL_TRANSFORMER, BAMBOO)
