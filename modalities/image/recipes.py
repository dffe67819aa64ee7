"""Recipes for images of many channels: tokens of single ones, and of groups."""

from __future__ import annotations

from anymae.recipe import Recipe

CELLULAR = Recipe(
    name="cellular",
    paper="Kraus et al., Masked Autoencoders for Microscopy are Scalable Learners of Cellular "
    "Biology, CVPR 2024 (channel-agnostic)",
    year=2024,
    summary="MAE whose tokens are patches of single channels, which share one embedding.",
    differs="A token knows its channel as a third coordinate; one decoder attends to all channels, "
    "and has no loss of frequencies; channels are standardised by the data, not by the image; "
    "images have as many channels as in training; AdamW instead of Lion.",
    settings={"adapter.bands": "each"},
)

SATMAE = Recipe(
    name="satmae",
    paper="Cong et al., SatMAE: Pre-training Transformers for Temporal and Multi-Spectral "
    "Satellite Imagery, NeurIPS 2022 (spectral, independent masks)",
    year=2022,
    summary="MAE whose tokens are patches of groups of bands, with an embedding and head each.",
    differs="Row, column and group have a third of the position each; the groups are those of "
    "Sentinel-2 without B1, B9 and B10, in the bands' order: others by modality_options bands.",
    settings={"adapter.bands": [[0, 1, 2, 6], [3, 4, 5, 7], [8, 9]]},
)

RECIPES = (CELLULAR, SATMAE)
