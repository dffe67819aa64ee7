"""Several runs on one page."""

from anymae.config import with_overrides
from anymae.registry import recipe
from anymae.report import write_report

from .folders import assert_inert, full, read, rows, run_folder


def test_a_comparison(tmp_path):
    first = full(tmp_path / "first")
    method = with_overrides(recipe("mae"), {"decoder.depth": 3, "training.lr": 0.01}, "recipe")
    second = run_folder(tmp_path / "second", method=method, history=rows(40, validation=False))
    out = write_report([first, second])
    assert out == tmp_path / "report.html"
    assert_inert(out.read_text())
    page = read(out)
    assert "recipe.decoder.depth \N{EN DASH} 3" in page.text
    assert "training.lr \N{EN DASH} 0.01" in page.text
    assert "recipe.mask.budget.ratio" not in page.text, "what is the same is not listed"
    assert "linear, accuracy 0.900 \N{EN DASH}" in page.text
    assert "do not compare" not in page.text
    titles = [a["alt"].partition(".")[0] for a in page.all("img")][:5]
    assert titles[0] == "Masked loss", "not validation: the second run has none"


def test_runs_that_hide_differently_do_not_compare(tmp_path):
    method = with_overrides(recipe("mae"), {"mask.budget.ratio": 0.5}, "recipe")
    runs = [run_folder(tmp_path / "a"), run_folder(tmp_path / "b", method=method)]
    assert "losses and explained variances do not compare" in read(write_report(runs)).text


def test_equal_runs_differ_in_nothing(tmp_path):
    runs = [run_folder(tmp_path / "a"), run_folder(tmp_path / "b")]
    page = read(write_report(runs, tmp_path / "deep" / "page.html"))
    assert "Nothing: these runs have the same configuration." in page.text
    assert "Masked loss, validation" in page.text


def test_more_runs_than_colours(tmp_path):
    runs = [run_folder(tmp_path / f"run {i}") for i in range(9)]
    swatches = [e for e in read(write_report(runs)).all("span") if "swatch" in e.get("class", "")]
    assert len({(e["class"], e["style"]) for e in swatches}) == 9
