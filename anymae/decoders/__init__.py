"""Decoders: who answers for the asked tokens."""

from anymae.decoders.along_edges import EdgeDecoder
from anymae.decoders.attending import CrossDecoder, SelfDecoder
from anymae.decoders.decoder import Decoder, Question, Whole
from anymae.decoders.neighbours import NeighbourDecoder
from anymae.decoders.plain import LinearDecoder, PoolDecoder

__all__ = [
    "CrossDecoder",
    "Decoder",
    "EdgeDecoder",
    "LinearDecoder",
    "NeighbourDecoder",
    "PoolDecoder",
    "Question",
    "SelfDecoder",
    "Whole",
]
