"""Recipes that learn from a model that was pretrained before."""

from __future__ import annotations

from anymae.corruption import MaskToken
from anymae.decoders import LinearDecoder
from anymae.goals import Goal
from anymae.losses import AbsoluteLoss, CosineLoss, CrossEntropyLoss, SmoothLoss, SquaredLoss
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.masks.places import NearestPriority
from anymae.masks.priorities import BlockPriority
from anymae.recipe import Recipe
from anymae.targets import Content, Features, MorphedFeatures, Prototypes
from anymae.teachers import GivenTeacher

MASKDISTILL = Recipe(
    name="maskdistill",
    paper="Peng et al., A Unified View of Masked Image Modeling, TMLR 2023",
    year=2022,
    summary="Normalised features of hidden blocks, as a pretrained model sees them in the whole.",
    differs="The teacher is a model of this toolkit on the same tokens, not CLIP; absolute "
    "positions instead of a relative bias; the share of hidden tokens is from memory.",
    verified=False,
    mask=Mask(priority=BlockPriority(), budget=RatioBudget(ratio=0.4)),
    corruption=MaskToken(),
    decoder=LinearDecoder(),
    target=Features(final_norm=True),
    loss=SmoothLoss(),
    teacher=GivenTeacher(),
)

BEIT2 = Recipe(
    name="beit2",
    paper="Peng et al., BEiT v2: Masked Image Modeling with Vector-Quantized Visual Tokenizers, "
    "2022",
    year=2022,
    summary="Which of the codes of a pretrained model's features a token in a hidden block has.",
    differs="256 codes by k-means of the features of what training starts with; the paper trains a "
    "tokenizer with 8,192 to rebuild them. The teacher is a model of this toolkit on the same "
    "tokens, not CLIP; no path through the class token; absolute positions, no relative bias.",
    mask=Mask(priority=BlockPriority(), budget=RatioBudget(ratio=0.38)),
    corruption=MaskToken(),
    decoder=LinearDecoder(),
    target=Prototypes(decay=1.0, start="k-means", normalise="unit", final_norm=True),
    loss=CrossEntropyLoss(),
    teacher=GivenTeacher(),
)

MR_MAE = Recipe(
    name="mr-mae",
    paper="Gao et al., Mimic before Reconstruct: Enhancing Masked Autoencoders with Feature "
    "Mimicking, IJCV 2024",
    year=2023,
    summary="MAE on hidden tokens; seen ones match a pretrained model's features of the whole.",
    differs="The teacher is a model of this toolkit on the same tokens, not CLIP or DINO; the "
    "normalisation of its features is from memory.",
    verified=False,
    target=Content(normalise="token"),
    teacher=GivenTeacher(),
    also=(Goal(target=Features(final_norm=True), loss=SquaredLoss(), scope="seen"),),
)

DMAE = Recipe(
    name="dmae",
    paper="Bai et al., Masked Autoencoders Enable Efficient Knowledge Distillers, CVPR 2023",
    year=2023,
    summary="MAE whose last block but one matches that of a larger, pretrained one which sees the "
    "same tokens.",
    differs="Both blocks are the last but one, which is the paper's three quarters of the depth "
    "only where that is four; the class token is not matched.",
    teacher=GivenTeacher(),
    also=(
        Goal(
            target=Features(block=-2, normalise="unit", shown="seen"),
            loss=AbsoluteLoss(),
            scope="seen",
            tap=-2,
        ),
    ),
)

UTA = Recipe(
    name="uta",
    paper="Liu et al., Enhancing Vision-Language Model with Unmasked Token Alignment, TMLR 2024",
    year=2024,
    summary="Half of a sample, one box, is seen, and matches a pretrained model's features of the "
    "whole; nothing hidden is asked.",
    differs="The teacher is a model of this toolkit on the same tokens, not CLIP, so no text is "
    "matched; one box is seen, not what a union of blocks keeps; share and loss are from memory.",
    verified=False,
    mask=Mask(
        priority=NearestPriority(hide=False, norm="box"),
        budget=RatioBudget(ratio=0.5),
        asked="seen",
    ),
    decoder=LinearDecoder(),
    target=Features(normalise="none", final_norm=True),
    loss=CosineLoss(),
    teacher=GivenTeacher(),
)

DTM = Recipe(
    name="dtm",
    paper="Kim et al., Morphing Tokens Draw Strong Masked Image Models, ICLR 2025 (dynamic token "
    "morphing)",
    year=2024,
    summary="Features of all tokens as a pretrained model sees them in the whole, averaged over "
    "groups of tokens that are alike to it, others each time.",
    differs="The teacher is a model of this toolkit on the same tokens, not CLIP; its class token "
    "takes no part; absolute positions, no relative bias.",
    mask=Mask(priority=BlockPriority(), budget=RatioBudget(ratio=0.38), asked="all"),
    corruption=MaskToken(),
    decoder=LinearDecoder(),
    target=MorphedFeatures(normalise="none", final_norm=True),
    loss=SmoothLoss(beta=2.0),
    teacher=GivenTeacher(),
)

RECIPES = (MASKDISTILL, BEIT2, MR_MAE, DMAE, UTA, DTM)
