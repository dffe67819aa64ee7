"""What the encoder gets in place of a hidden token."""

from anymae.corruption.altering import Alter, Noise, Quantise, Replace
from anymae.corruption.corruption import Corruption, Input
from anymae.corruption.edges import HideEdges
from anymae.corruption.leaving import Drop, MaskToken

__all__ = [
    "Alter",
    "Corruption",
    "Drop",
    "HideEdges",
    "Input",
    "MaskToken",
    "Noise",
    "Quantise",
    "Replace",
]
