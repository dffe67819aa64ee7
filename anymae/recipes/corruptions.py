"""Recipes whose hidden tokens enter the encoder spoiled, not removed, and are to be mended."""

from __future__ import annotations

from anymae.corruption import Noise, Quantise
from anymae.decoders import LinearDecoder
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.recipe import Recipe

DAE = Recipe(
    name="dae",
    paper="Vincent et al., Stacked Denoising Autoencoders, JMLR 2010",
    year=2010,
    summary="Three quarters of the tokens enter with Gaussian noise and are rebuilt without it.",
    differs="A transformer trained at once, not layers one after another; some tokens stay clean, "
    "and only noisy ones are scored (its full emphasis); noise has half a unit of deviation.",
    verified=False,
    mask=Mask(budget=RatioBudget(ratio=0.75)),
    corruption=Noise(deviations=(0.5,)),
    decoder=LinearDecoder(),
)

RANDOMIZED_QUANTIZATION = Recipe(
    name="randomized-quantization",
    paper="Wu et al., Randomized Quantization: A Generic Augmentation for Data Agnostic "
    "Self-supervised Learning, ICCV 2023",
    year=2023,
    summary="Numbers of hidden tokens enter as one of eight random levels and are refined.",
    differs="Three quarters of the tokens are coarse and their content is predicted; the paper "
    "contrasts two coarse views of the whole.",
    mask=Mask(budget=RatioBudget(ratio=0.75)),
    corruption=Quantise(bins=8),
    decoder=LinearDecoder(),
)

RECIPES = (DAE, RANDOMIZED_QUANTIZATION)
