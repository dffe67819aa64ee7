"""docs/recipes.md is what ``anymae recipes --markdown`` prints."""

from pathlib import Path

import anymae
from anymae.cli.catalogue import recipe_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recipes.md"


def test_the_page_is_the_commands_output():
    every = anymae.recipes()
    said = recipe_page(every.values(), every["mae"])
    assert PAGE.read_text().strip() == said.strip(), (
        "run: anymae recipes --markdown > docs/recipes.md"
    )


def test_the_page_says_what_differs():
    every = anymae.recipes()
    page = recipe_page([every["simmim"], every["mae"]], every["mae"])
    mae, simmim = page.split("## ")[1:]
    assert "corruption: `mask-token`" in simmim
    assert "loss: `absolute`" in simmim
    assert "corruption" not in mae


def test_a_modality_that_cannot_be_loaded_hides_no_other(monkeypatch, capsys):
    from anymae import registry
    from anymae.cli.catalogue import modalities

    class Broken:
        def load(self):
            raise ImportError("no such wheel")

    monkeypatch.setattr(registry, "_entry_points", lambda: {"aaa": Broken()})
    modalities()
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "aaa          cannot be loaded: ImportError: no such wheel"
    assert any(line.startswith("image ") for line in said)
