"""Recipes with questions about whole samples: which of them a spoiled one is, what it resembles."""

from __future__ import annotations

from anymae.corruption import Replace
from anymae.decoders import LinearDecoder, PoolDecoder
from anymae.goals import Goal
from anymae.losses import ContrastiveLoss, CrossEntropyLoss, RowCorrelationLoss
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.recipe import Recipe
from anymae.targets import Assignments, PooledFeatures, Projections
from anymae.teachers import EmaTeacher

SCARF = Recipe(
    name="scarf",
    paper="Bahri et al., SCARF: Self-Supervised Contrastive Learning using Random Feature "
    "Corruption, ICLR 2022",
    year=2022,
    summary="A sample with three fifths of its tokens from others must be told, by contrast, from "
    "the other samples.",
    differs="The clean view is the mean of its features, without head and gradient; such views are "
    "close to one another, so the temperature is 0.2, not 1; at most 64 samples compete; a "
    "transformer; a token's other content is that of the same place of the next sample.",
    verified=False,
    mask=Mask(budget=RatioBudget(ratio=0.6), asked="sample"),
    corruption=Replace(by="place"),
    decoder=PoolDecoder(),
    target=PooledFeatures(),
    loss=ContrastiveLoss(temperature=0.2, rivals=64),
)

SAINT = Recipe(
    name="saint",
    paper="Somepalli et al., SAINT: Improved Neural Networks for Tabular Data via Row Attention "
    "and Contrastive Pre-Training, 2021",
    year=2021,
    summary="A tenth of the tokens is from other samples; all content is asked, and which sample "
    "it was.",
    differs="No attention between samples; no mixture of embeddings; the clean view has no head "
    "and no gradient; features are averaged, not laid side by side; numbers weigh as categories "
    "do, and the contrast 0.05 beside them, the paper's 0.5 to 10; at most 64 samples compete.",
    mask=Mask(budget=RatioBudget(ratio=0.1), asked="all"),
    corruption=Replace(by="place"),
    decoder=LinearDecoder(),
    also=(
        Goal(
            decoder=PoolDecoder(),
            target=PooledFeatures(),
            loss=ContrastiveLoss(temperature=0.7, rivals=64),
            scope="sample",
            weight=0.05,
        ),
    ),
)

MSN = Recipe(
    name="msn",
    paper="Assran et al., Masked Siamese Networks for Label-Efficient Learning, ECCV 2022",
    year=2022,
    summary="A sample with 15 in a hundred tokens hidden resembles the prototypes that a moving "
    "average says the whole one does; nothing is rebuilt.",
    differs="The mean of the tokens stands for a sample, not a class token; one masked view, no "
    "small crops; each sample's own mask; 256 prototypes, not 1,024, with a head of layer-normed "
    "features instead of batch norm; targets are centred by a moving average, not balanced by "
    "Sinkhorn's steps; the average's momentum follows half a cosine, not a line.",
    mask=Mask(budget=RatioBudget(ratio=0.15), asked="sample"),
    decoder=PoolDecoder(),
    target=Assignments(sharpness=0.025, pool="mean", entropy=1.0),
    loss=CrossEntropyLoss(),
    teacher=EmaTeacher(start=0.996),
)

LFR = Recipe(
    name="lfr",
    paper="Sui et al., Self-supervised Representation Learning from Random Data Projectors, ICLR "
    "2024",
    year=2024,
    summary="A linear map of what the encoder makes of a sample must tell what six random networks "
    "of it say, each sample's own among those of others.",
    differs="Networks are of content and place, averaged over tokens, with one hidden layer, "
    "whatever the modality; answers pass a network of one hidden layer before the six linear maps; "
    "15 in a hundred tokens are hidden, for each mask leaves out one or more; both learn together, "
    "not in turns.",
    mask=Mask(budget=RatioBudget(ratio=0.15), asked="sample"),
    decoder=PoolDecoder(),
    target=Projections(),
    loss=RowCorrelationLoss(),
)

RECIPES = (SCARF, SAINT, MSN, LFR)
