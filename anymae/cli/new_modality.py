"""The command that scaffolds a package with a modality of one's own."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from anymae.errors import BadConfig

NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


def new_modality(
    name: Annotated[str, typer.Argument(help="Lower-case, e.g. eeg or mass-spectra.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to put the package.")] = Path(),
) -> None:
    """Write a package with an adapter, its conformance test and an example, all of which work."""
    from anymae.registry import modalities

    if not NAME.fullmatch(name):
        raise BadConfig(
            "not a name for a modality",
            found=repr(name),
            expected="lower-case letters and digits, words joined by - or _, e.g. mass-spectra",
        )
    if name in list(modalities()):
        raise BadConfig(f"there is a modality {name!r} already", hint="See: anymae modalities")
    folder = out / f"anymae-{name}"
    if folder.exists():
        raise BadConfig(
            "there is something here already", where=folder, hint="Choose another --out."
        )
    for path, text in package(name).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    typer.echo(f"{folder}\nnext: cd {folder} && pip install -e . && python -m pytest")


def package(name: str) -> dict[str, str]:
    """The files of a package for a modality: path -> text."""
    from anymae import __version__

    stem = name.replace("-", "_")
    module = f"anymae_{stem}"
    words = {
        "name": name,
        "stem": stem,
        "module": module,
        "cls": "".join(word.capitalize() for word in re.split("[-_]", name)) + "Adapter",
        "version": __version__,
    }
    places = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"src/{module}/__init__.py": "init.py",
        f"src/{module}/adapter.py": "adapter.py",
        f"tests/test_{stem}.py": "test.py",
        "examples/pretrain.py": "example.py",
    }
    return {path: _filled(template, words) for path, template in places.items()}


def _filled(template: str, words: dict[str, str]) -> str:
    text = (files("anymae.cli") / "templates" / f"{template}.txt").read_text(encoding="utf-8")
    return Template(text).substitute(words)
