"""Decoders: who answers for the asked tokens."""

from anymae.decoders.along_edges import EdgeDecoder
from anymae.decoders.attending import CrossDecoder, SelfDecoder
from anymae.decoders.decoder import Decoder, Question, Whole
from anymae.decoders.plain import LinearDecoder, PoolDecoder

__all__ = [
    "CrossDecoder",
    "Decoder",
    "EdgeDecoder",
    "LinearDecoder",
    "PoolDecoder",
    "Question",
    "SelfDecoder",
    "Whole",
]
