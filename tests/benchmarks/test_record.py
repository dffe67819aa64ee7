"""Benchmarks leave a record that another machine can repeat."""

import json
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

import anymae.benchmarks.quality
from anymae.benchmarks.quality.record import Benchmark, row, shown

NAMES = sorted(
    path.stem
    for path in Path(anymae.benchmarks.quality.__path__[0]).glob("*.py")
    if path.stem not in ("__init__", "record")
)


def benchmark() -> Benchmark:
    found = Benchmark("toy", "What it does.\n\nMore.", steps=50)
    found.option("name")
    found.option("--tables", nargs="+", default=["a", "b"])
    found.option("--tune", action="store_true")
    return found


def test_the_command_names_settings_and_no_place():
    toy = benchmark()
    options = toy.parse(
        ["/somewhere/data", "x", "--out", "/scratch/o", "--json", "/scratch/r.json", "--tune"]
    )
    expected = "python -m anymae.benchmarks.quality.toy DATA --steps 50 x --tables a b --tune"
    assert toy.command(options) == expected


def test_a_setting_not_asked_for_is_left_out():
    options = benchmark().parse(["data", "x", "--tables", "c"])
    expected = "python -m anymae.benchmarks.quality.toy DATA --steps 50 x --tables c"
    assert benchmark().command(options) == expected


def test_the_record_holds_command_result_and_machine(tmp_path, capsys):
    toy = benchmark()
    options = toy.parse(["data", "x", "--json", str(tmp_path / "r.json")])
    toy.record(options, {"accuracy": 0.5})
    record = json.loads((tmp_path / "r.json").read_text())
    assert record == json.loads(capsys.readouterr().out)
    assert record["accuracy"] == 0.5
    assert record["command"] == toy.command(options)
    assert record["machine"]["cores"] > 0


def test_rows_hold_the_details_asked_for():
    scores = [
        SimpleNamespace(value=v, interval=(v - 1, v + 1), details={"mae": v / 2, "other": 0})
        for v in (1.0, 2.0, 3.0)
    ]
    pretrained = SimpleNamespace(**vars(scores[0]), raw=scores[1], random_init=scores[2])
    assert row(pretrained, "mae") == {
        "pretrained": {"value": 1.0, "interval": [0.0, 2.0], "mae": 0.5},
        "raw": {"value": 2.0, "interval": [1.0, 3.0], "mae": 1.0},
        "random_init": {"value": 3.0, "interval": [2.0, 4.0], "mae": 1.5},
    }
    assert shown(scores[0]) == {"value": 1.0, "interval": [0.0, 2.0]}


def test_a_budget_says_how_many_steps():
    toy = benchmark()
    assert toy.parse(["data", "x", "--budget", "paper"]).steps == 5000
    assert toy.parse(["data", "x", "--budget", "smoke"]).steps == 1
    assert toy.parse(["data", "x", "--budget", "smoke", "--steps", "7"]).steps == 7


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_explains_itself(name, monkeypatch, capsys):
    module = import_module(f"anymae.benchmarks.quality.{name}")
    monkeypatch.setattr("sys.argv", [name, "--help"])
    with pytest.raises(SystemExit) as stopped:
        module.main()
    assert stopped.value.code == 0
    assert "data" in capsys.readouterr().out
