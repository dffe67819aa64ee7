"""Whatever is wrong in a configuration is named by its key, with the nearest known one (I5)."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import anymae
from anymae.cli import main
from anymae.cli.settings import parsed
from anymae.errors import AnyMAEError
from anymae.training.arguments import adapter_of, encoder_of, recipe_of, refuse_unknown

WRONG = {
    "stpes: 3": ("stpes", "Did you mean 'steps'"),
    "mask.rato: 0.5": ("mask.rato", "Known: ask, asked, budget, groups"),
    "training.lrr: 0.1": ("training.lrr", "Did you mean 'training.lr'"),
    "decoder.depth: many": ("decoder.depth", "integer"),
    "decoder.depth: -3": ("decoder.depth", "greater"),
    "decoder.depth: 1.5": ("decoder.depth", "integer"),
    "training.weight_decay: .nan": ("training.weight_decay", "finite"),
    "training.weight_decay: .inf": ("training.weight_decay", "finite"),
    "training.warmup: 2": ("training.warmup", "less than 1"),
    "training.schedule: cosin": ("training.schedule", "'cosine'"),
    "encoder.heads: 0": ("encoder: heads", "greater"),
    "encoder.width: [1, 2]": ("encoder: width", "integer"),
    "recipe: maee": ("maee", "Did you mean 'mae'"),
    "modality: imag": ("imag", "Did you mean 'image'"),
    "size: tny": ("tny", "Did you mean 'tiny'"),
    "decoder: self_attention": ("decoder", "self"),
    "modality_options: {patch_siz: 4}": ("patch_siz", "patch_size"),
    "modality_options: {patch_size: -4}": ("patch_size", "greater than 0"),
    "- 1": ("settings.yaml", "not a mapping"),
    "7": ("settings.yaml", "not a mapping"),
    "1: 2": ("settings.yaml", "not a mapping"),
    "": ("settings.yaml", "not a mapping"),
    "a: [1": ("settings.yaml", "cannot be read"),
    "a: \0": ("settings.yaml", "cannot be read"),
    "seed: !!python/object/apply:os.system [x]": ("settings.yaml", "python/object"),
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_setting_is_named(text, tmp_path, capsys):
    line = said(text, tmp_path, capsys)
    assert all(words in line for words in WRONG[text]), line


def said(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which the command line refuses a file of settings."""
    (folder / "settings.yaml").write_text(text)
    modality = [] if "modality:" in text else ["-m", "image"]
    command = ["pretrain", str(folder), *modality, "--config", str(folder / "settings.yaml")]
    assert main(command) == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


@contextmanager
def only_ours() -> Iterator[None]:
    """Nothing is raised inside but errors of this package that end a command with status 2."""
    raised: list[AnyMAEError] = []
    try:
        yield
    except AnyMAEError as error:
        raised.append(error)
    assert all(error.status == 2 and "\n" not in str(error) for error in raised)


ADAPTER = adapter_of("image", {})
KEYS = st.sampled_from(
    ["mask", "mask.ratio", "mask.budget", "mask.budget.kind", "decoder", "decoder.depth", "target",
     "decoder.kind", "loss", "loss.kind", "training", "training.lr", "training.steps", "teacher",
     "training.betas", "also", "views", "corruption", "encoder.width", "encoder.window", "name",
     "encoder", "position.kind", "training.", ".", "", "mask..ratio", "also.0.kind"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["self", "cross", "linear", "content", "mse", "kind"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=3))
@example({"also": [{"decoder": 1}]})
@example({"mask": {"kind": []}})
@example({"training.betas": [math.nan, 1]})
def test_no_settings_do_worse_than_an_error_of_ours(overrides: dict[str, Any]):
    with only_ours():
        refuse_unknown(overrides, ())
        recipe_of("mae", ADAPTER, None, {}, overrides)
        encoder_of("nano", ADAPTER, "mae", overrides)


FIELDS = st.sampled_from([*type(ADAPTER).model_fields, "patch", ""])


@given(st.dictionaries(FIELDS, VALUES, max_size=3))
def test_no_options_do_worse_than_an_error_of_ours(options: dict[str, Any]):
    with only_ours():
        anymae.modalities()["image"](**adapter_of("image", options).model_dump())


@given(st.lists(st.text(max_size=20), max_size=3))
@example(["seed=2020-13-13"])
@example(["seed=" + "[" * 5000])
def test_no_words_on_the_command_line_do_worse_than_an_error_of_ours(words: list[str]):
    with only_ours():
        parsed(words)
