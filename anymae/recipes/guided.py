"""Recipes whose mask follows what a sample holds: what changes in it, or what it looks at."""

from __future__ import annotations

from anymae.decoders import CrossDecoder
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.masks.change import ChangePriority, MotionPriority
from anymae.masks.watched import ReceivedPriority
from anymae.recipe import Recipe
from anymae.targets import Content

EVEREST = Recipe(
    name="everest",
    paper="Hwang et al., EVEREST: Efficient Masked Video Autoencoder by Removing Redundant "
    "Spatiotemporal Tokens, ICML 2024",
    year=2024,
    summary="Of the three tenths of the tokens that change most, a third is seen and the rest "
    "asked; what stands still is neither.",
    differs="Change is that of content, not of its embedding; frames are not chosen by it; targets "
    "are normalised over a token's numbers; the decoder follows the encoder's size.",
    mask=Mask(
        priority=ChangePriority(pool=0.3), budget=RatioBudget(ratio=0.9), ask=2 / 9, asked="next"
    ),
    target=Content(normalise="token"),
)

MGM = Recipe(
    name="mgm",
    paper="Fan et al., Motion-Guided Masking for Spatiotemporal Representation Learning, ICCV 2023",
    year=2023,
    summary="At each time the tokens around where content moves are hidden, three quarters of all.",
    differs="Where it moves is the mean place of differences to the time before, not read from a "
    "codec's motion vectors; how the paper places its box was not checked.",
    verified=False,
    mask=Mask(priority=MotionPriority(), budget=RatioBudget(ratio=0.75)),
    target=Content(normalise="token"),
)

SMA = Recipe(
    name="sma",
    paper="Xie et al., Self-Guided Masked Autoencoders for Domain-Agnostic Self-Supervised "
    "Learning, ICLR 2024",
    year=2024,
    summary="What a few random tokens attend to in the first block is hidden together; asked "
    "tokens read the seen.",
    differs="The paper's self-attention form, and the modality's own tokens and positions instead "
    "of raw elements with learned ones; one such token for 16 hidden; half is hidden everywhere, "
    "which the paper sets by domain; no random start of the mask.",
    mask=Mask(priority=ReceivedPriority(), budget=RatioBudget(ratio=0.5)),
    decoder=CrossDecoder(depth=1),
)

RECIPES = (EVEREST, MGM, SMA)
