"""Whose word counts about the encoder: the modality's, the configuration's, the user's."""

from typing import Any

from anymae.encoder import EncoderConfig
from anymae.training.arguments import encoder_of

from ..toys import Toy


class Picky(Toy):
    name = "picky"

    def numbers(self, recipe: str) -> dict[str, Any]:
        return {"encoder.cls": False, "encoder.layout": "window", "mask.ratio": 0.5}


def test_a_modality_settles_what_a_configuration_leaves_open():
    config = EncoderConfig(width=16, depth=2, heads=2)
    found = encoder_of(config, Picky(), "mae", {})
    assert (found.cls, found.layout, found.width) == (False, "window", 16)


def test_a_configuration_that_says_so_stands():
    config = EncoderConfig(width=16, depth=2, heads=2, layout="full")
    found = encoder_of(config, Picky(), "mae", {})
    assert (found.cls, found.layout) == (False, "full")


def test_the_user_has_the_last_word():
    found = encoder_of("nano", Picky(), "mae", {"encoder.cls": True, "decoder.depth": 3})
    assert (found.cls, found.layout, found.width) == (True, "window", 96)
